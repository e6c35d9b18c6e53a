"""A real Cyrus of the test's own: IMAP and LMTP on free loopback ports, with its own CA.

Users alice, bob and carol, password "secret"; their INBOX and special mailboxes are made at the first login or delivery. Works as root
(the server turns into the user mail) and as a plain user. Debian's cyrus-imapd cannot be installed beside dovecot-imapd: tests/run
unpacks it into build-cyrus.
"""
import atexit
import functools
import getpass
import os
import shutil
import subprocess
import sysconfig
import tempfile

import tap
from dovecot import PASSWORD, USERS, Outside, append, free_ports, make_ca, searchable  # noqa: append is for those who take it from here

ROOT = os.environ.get("TUIMAIL_CYRUS", os.path.join(tap.SRC, "build-cyrus"))
LIB = sysconfig.get_config_var("MULTIARCH") or "x86_64-linux-gnu"
SPECIAL = ("Archive", "Drafts", "Sent", "Trash", "Junk")
# What Cyrus can leave out of its capabilities; `imap_capability` of a test says what is to stay.
OFFERED = ("ACL ANNOTATE-EXPERIMENT-1 BINARY CATENATE CHILDREN COMPRESS=DEFLATE CONDSTORE CREATE-SPECIAL-USE ENABLE ESEARCH ESORT IDLE LIST-EXTENDED "
           "LIST-METADATA LIST-MYRIGHTS LIST-STATUS LITERAL+ METADATA MOVE MULTIAPPEND NAMESPACE OBJECTID PREVIEW QRESYNC QUOTA SAVEDATE "
           "SEARCH=FUZZY SORT SORT=DISPLAY SPECIAL-USE STATUS=SIZE THREAD=ORDEREDSUBJECT THREAD=REFERENCES UIDPLUS UNSELECT WITHIN XLIST XMOVE").split()

CONFIG = """
configdirectory: {dir}/conf
proc_path: {dir}/proc
mboxname_lockpath: {dir}/lock
defaultpartition: default
partition-default: {dir}/mail
cyrus_user: {user}
altnamespace: {alt}
unixhierarchysep: {slash}
admins: admin
allowplaintext: no
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {dir}/sasldb2
sasl_mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256
servername: localhost
tls_server_cert: {dir}/server.pem
tls_server_key: {dir}/server.key
tls_versions: {tls}
tls_session_timeout: 0
autocreate_quota: {quota}
autocreate_post: yes
autocreate_inbox_folders: {special}
autocreate_subscribe_folders: {special}
{uses}
idlesocket: {dir}/socket/idle
imapidlepoll: 60
failedloginpause: 0
duplicatesuppression: no
{suppress}
{extra}
"""

SERVICES = """
START {{
  recover cmd="{bin}/ctl_cyrusdb -C {dir}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="{bin}/imapd -C {dir}/imapd.conf" listen="127.0.0.1:{imap}" prefork=0
  imaps cmd="{bin}/imapd -C {dir}/imapd.conf -s" listen="127.0.0.1:{imaps}" prefork=0
  lmtp cmd="{bin}/lmtpd -C {dir}/imapd.conf -a" listen="127.0.0.1:{lmtp}" prefork=0
}}
DAEMON {{
  idled cmd="{bin}/idled -C {dir}/imapd.conf -d"
}}
"""


def write_passwords(path):
    """Berkeley DB as Cyrus SASL's sasldb plugin wants it."""
    text = "VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\nHEADER=END\n"
    for user in USERS + ("admin",):
        text += " %s\n %s\n" % ((user + "\0localhost\0userPassword").encode().hex(), PASSWORD.encode().hex())
    subprocess.run(["db_load", path], input=text + "DATA=END\n", text=True, check=True)


def for_everybody(path):
    """Is each folder on the way there open to all users?"""
    path = os.path.realpath(path)
    while os.stat(path).st_mode & 0o001:
        if path == "/":
            return True
        path = os.path.dirname(path)
    return False


@functools.cache
def programs(root):
    """The usr/lib of an unpacked tree; a copy where the user that Cyrus turns into cannot get at it (a checkout below a home of mode 0700)."""
    lib = os.path.join(root, "usr/lib")
    if os.geteuid() != 0 or for_everybody(lib):
        return lib
    copy = tempfile.mkdtemp(prefix="tuimail-test-cyrus-")
    atexit.register(shutil.rmtree, copy, True)
    os.chmod(copy, 0o755)
    return shutil.copytree(lib, os.path.join(copy, "lib"), symlinks=True)


class Server(Outside):
    """Starts on construction, stops on close(). `info` holds ports and paths. `separator` "." is Debian's own default: INBOX.Trash beside
    INBOX. `extra` are lines for imapd.conf; `quota` in KiB. It compresses for whoever asks."""
    refuses = '"\\'  # in names of mailboxes

    def __init__(self, directory, extra="", imap_capability="", separator="/", quota=0, relay=False, compress=True,
                 tls="tls1_2 tls1_3"):
        if not os.access(os.path.join(ROOT, "usr/lib/cyrus/bin/imapd"), os.X_OK):
            tap.skip("no Cyrus in %s; tests/run unpacks it" % ROOT)
        self.lib = programs(ROOT)
        self.bin = os.path.join(self.lib, "cyrus/bin")
        assert not relay, "Cyrus has no submission service"
        self.dir = os.path.abspath(directory)
        for d in ("", "conf", "proc", "lock", "mail", "socket", "conf/db", "conf/socket"):
            os.makedirs(os.path.join(self.dir, d), exist_ok=True)
        make_ca(self.dir)
        ports = dict(zip(("imap", "imaps", "lmtp"), free_ports(3)))
        user = "mail" if os.geteuid() == 0 else getpass.getuser()
        slash = separator == "/"
        suppress = [w for w in OFFERED if w not in imap_capability.split()] if imap_capability else []
        with open(os.path.join(self.dir, "imapd.conf"), "w") as f:
            f.write(CONFIG.format(
                dir=self.dir, user=user, alt="yes" if slash else "no", slash="yes" if slash else "no", extra=extra, quota=quota, tls=tls,
                special="|".join(SPECIAL), uses="\n".join("xlist-%s: %s" % (name.lower(), name) for name in SPECIAL),
                suppress="suppress_capabilities: " + " ".join(suppress) if suppress else ""))
        with open(os.path.join(self.dir, "cyrus.conf"), "w") as f:
            f.write(SERVICES.format(dir=self.dir, bin=self.bin, **ports))
        write_passwords(os.path.join(self.dir, "sasldb2"))
        # The daemons report to syslog only; standard output is for what master says.
        self.info = dict(ports, ca=os.path.join(self.dir, "ca.pem"), dir=self.dir, users=USERS, password=PASSWORD)
        if os.geteuid() == 0:
            for folder, _, files in os.walk(self.dir):
                for name in [""] + files:
                    shutil.chown(os.path.join(folder, name), user, user)
        searchable(self.dir)
        self.process = None
        self.start()
        atexit.register(self.close)

    def start(self):
        self.process = subprocess.Popen(
            [os.path.join(self.bin, "master"), "-C", os.path.join(self.dir, "imapd.conf"), "-M", os.path.join(self.dir, "cyrus.conf"),
             "-p", os.path.join(self.dir, "master.pid"), "-D"], cwd=self.dir, env=dict(os.environ, LD_LIBRARY_PATH=os.path.join(self.lib, LIB)),
            start_new_session=True,  # it ends its whole process group
            stdin=subprocess.DEVNULL, stdout=open(os.path.join(self.dir, "stdout"), "w"), stderr=subprocess.STDOUT)
        self.wait_for("imap", "imaps", "lmtp")

    def index(self, user):
        """What FUZZY finds is what squatter has indexed."""
        subprocess.run([os.path.join(self.bin, "squatter"), "-C", os.path.join(self.dir, "imapd.conf"), "-u", user], check=True, capture_output=True,
                       user="mail" if os.geteuid() == 0 else None, env=dict(os.environ, LD_LIBRARY_PATH=os.path.join(self.lib, LIB)))

    def close(self):
        self.stop()
