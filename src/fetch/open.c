/* Opening the account's line: what only spawn may run or read is asked for over the channel. */
#include "fetch/fetch.h"

#include <poll.h>
#include <unistd.h>

#include "net/line.h"

static bool ask(void *arg, enum need need, bool refused, int *fd_r, struct err *err)
{
    struct fetch *f = arg;
    if (!FETCH_SEND(f, err, SECRET_ASK, .service = SERVICE_INCOMING, .need = (uint8_t)need, .refused = refused))
        return false;
    while (f->given < 0 || f->given_need != need) {
        /* What was asked for before a cancel may come late. */
        if (f->given >= 0)
            close(f->given);
        f->given = -1;
        struct pollfd p = {.fd = chan_fd(f->chan),
                           .events = (short)(POLLIN | (chan_wants_write(f->chan) ? POLLOUT : 0))};
        poll(&p, 1, fetch_rest(f) ? 0 : 1000);
        fetch_wake(f);
        if (f->ended)
            return err_set(err, ERR_CHANNEL, "the store is gone");
        if (f->canceled)
            return err_set(err, ERR_CANCELED, "canceled");
    }
    *fd_r = f->given;
    f->given = -1;
    return true;
}

static struct line_way way(struct fetch *f)
{
    return (struct line_way){.account = f->account, .options = &f->stream_options, .ask = ask, .arg = f};
}

bool fetch_open(struct fetch *f, struct err *err)
{
    struct line_way w = way(f);
    *err = f->unfit;
    return err->kind == ERR_NONE && line_open(&w, &f->secret, &f->stream, err);
}

bool fetch_open_also(struct fetch *f, const struct stream_options *o, struct stream **stream_r, struct err *err)
{
    struct line_way w = way(f);
    w.options = o;
    return line_open(&w, &f->secret, stream_r, err);
}

bool fetch_has_tunnel(const struct fetch *f)
{
    return f->account->tunnel && f->account->tunnel[0];
}

void fetch_logged_in(struct fetch *f)
{
    if (f->secret.token)
        secret_free(&f->secret);
}

bool fetch_has_login(const struct fetch *f)
{
    return account_login(f->account, SERVICE_INCOMING) != LOGIN_NOTHING;
}

bool fetch_login_failed(struct fetch *f, bool last, struct err *err)
{
    struct line_way w = way(f);
    stream_close(&f->stream);
    return last ? line_refused(&w, &f->secret, err) : line_again(&w, &f->secret, err);
}
