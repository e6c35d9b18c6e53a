"""An OAuth 2.0 provider on loopback: token, device and authorization endpoints by TLS, introspection for Dovecot by HTTP.

It checks what it is told (client id and secret, PKCE, redirect, codes used once) and keeps a list of all requests. The test is
the user: it grants a device code, or opens the authorization page as a browser does."""
import base64
import hashlib
import http.client
import http.server
import json
import os
import secrets
import ssl
import threading
import time
import urllib.parse

CLIENT_ID = "tuimail-test-client"
CLIENT_SECRET = "cl13nt-s3cr3t"


class Provider:
    def __init__(self, server, user="bob", client_secret="", filler=0):
        """`server`: a dovecot.Server, whose certificate serves here too. filler: length of the tokens beyond their names."""
        self.user, self.client_secret, self.filler = user, client_secret, filler
        self.access, self.refresh, self.codes, self.devices, self.requests = {}, set(), {}, {}, []
        self.lifetime, self.rotate, self.interval = 3600, False, 1
        self.device_answers, self.token_errors, self.no_refresh, self.everything = [], [], False, set()
        self.lock = threading.Lock()
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, body, kind="application/json", **headers):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                raw = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
                form = dict(urllib.parse.parse_qsl(raw))
                with provider.lock:
                    provider.requests.append((self.path, form))
                    status, body = provider.answer(self.path, form)
                self.reply(status, body)

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query))
                with provider.lock:
                    provider.requests.append((url.path, query))
                    if url.path == "/introspect":
                        token = query.get("token") or self.headers.get("Authorization", "").partition(" ")[2]
                        return self.reply(200, provider.introspect(token))
                    if url.path != "/auth":
                        return self.reply(404, {})
                    where = provider.authorize(query)
                self.reply(302, b"", "text/html", Location=where)

        def serve(context):
            s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            s.daemon_threads = True
            s.handle_error = lambda *_: None  # a client may leave in the middle
            if context:
                s.socket = context.wrap_socket(s.socket, server_side=True, do_handshake_on_connect=False)
            threading.Thread(target=s.serve_forever, daemon=True).start()
            return s
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(server.dir, "server.pem"), os.path.join(server.dir, "server.key"))
        self.ca = server.info["ca"]
        self.tls, self.plain = serve(context), serve(None)
        self.url = "https://localhost:%d" % self.tls.server_address[1]
        self.introspection = "http://127.0.0.1:%d/introspect" % self.plain.server_address[1]

    def close(self):
        for s in (self.tls, self.plain):
            s.shutdown()
            s.server_close()

    # ---- what the user does ----
    def grant(self, user_code):
        with self.lock:
            self.devices[[d for d, v in self.devices.items() if v["user_code"] == user_code][0]]["granted"] = True

    def browse(self, url, follow=True):
        """Opens the page as a browser; the address it is sent to, which is fetched too where `follow`."""
        u = urllib.parse.urlsplit(url)
        c = http.client.HTTPSConnection(u.hostname, u.port, context=ssl.create_default_context(cafile=self.ca))
        c.request("GET", u.path + "?" + u.query)
        where = c.getresponse().getheader("Location")
        c.close()
        return (where, fetch(where)) if follow else (where, None)

    # ---- tokens ----
    def new(self, name):
        token = "%s-%s%s" % (name, secrets.token_urlsafe(24), "x" * self.filler)
        self.everything.add(token)
        return token

    def issue(self, with_refresh=True):
        token = self.new("access")
        self.access[token] = time.time() + self.lifetime
        body = {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}
        if with_refresh and not self.no_refresh:
            body["refresh_token"] = self.new("refresh")
            self.refresh.add(body["refresh_token"])
        return 200, body

    def introspect(self, token):
        return {"active": True, "username": self.user, "scope": "mail"} if token in self.access else {"active": False}

    def revoke(self):
        with self.lock:
            self.access.clear()

    # ---- endpoints ----
    def authorize(self, query):
        assert query["response_type"] == "code" and query["code_challenge_method"] == "S256" and query["scope"] == "mail offline"
        assert query["client_id"] == CLIENT_ID
        code = self.new("code")
        self.codes[code] = query
        return query["redirect_uri"] + "?" + urllib.parse.urlencode({"code": code, "state": query["state"]})

    def answer(self, path, form):
        if form.get("client_id") != CLIENT_ID or form.get("client_secret", "") != self.client_secret:
            return 401, {"error": "invalid_client", "error_description": "who?"}
        if path == "/device":
            code, user_code = self.new("device"), "%s-%s" % (secrets.token_hex(2).upper(), secrets.token_hex(2).upper())
            self.devices[code] = {"user_code": user_code, "granted": False}
            return 200, {"device_code": code, "user_code": user_code, "verification_uri": self.url + "/activate", "expires_in": 600,
                         "interval": self.interval}
        if path != "/token":
            return 404, {"error": "not_found"}
        if self.token_errors:
            return self.token_errors.pop(0)
        kind = form.get("grant_type")
        if kind == "refresh_token":
            if form.get("refresh_token") not in self.refresh:
                return 400, {"error": "invalid_grant", "error_description": "The refresh token %s has expired \033[31m" % form.get("refresh_token")}
            if self.rotate:
                self.refresh.discard(form["refresh_token"])
            return self.issue(with_refresh=self.rotate)
        if kind == "authorization_code":
            query = self.codes.pop(form.get("code"), None)
            digest = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
            if not query or digest != query["code_challenge"] or form.get("redirect_uri") != query["redirect_uri"]:
                return 400, {"error": "invalid_grant", "error_description": "code, verifier or redirect"}
            return self.issue()
        if kind == "urn:ietf:params:oauth:grant-type:device_code":
            if self.device_answers:
                return 400, {"error": self.device_answers.pop(0)}
            device = self.devices.get(form.get("device_code"))
            if not device:
                return 400, {"error": "invalid_grant"}
            if not device["granted"]:
                return 400, {"error": "authorization_pending"}
            del self.devices[form["device_code"]]
            return self.issue()
        return 400, {"error": "unsupported_grant_type"}


def fetch(url):
    u = urllib.parse.urlsplit(url)
    c = http.client.HTTPConnection(u.hostname, u.port, timeout=20)
    c.request("GET", (u.path or "/") + "?" + u.query)
    answer = c.getresponse()
    return answer.status, answer.read().decode()


PASSDB = """
passdb {
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = %(dir)s/oauth2.ext
}
"""


def dovecot_conf(directory, provider):
    """The file that PASSDB names."""
    with open(os.path.join(directory, "oauth2.ext"), "w") as f:
        f.write("introspection_mode = auth\nintrospection_url = %s\nusername_attribute = username\nactive_attribute = active\n"
                "active_value = true\n" % provider.introspection)
