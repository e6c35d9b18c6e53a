/* Queries to search keys: terms to leaves of a tree, without recursion on the input, then the tree to keys. */
#include "mail/imap_query_int.h"

/* ---- Nodes -------------------------------------------------------------------------------------- */
static bool node_new(struct maker *m, struct node n, uint16_t *at_r)
{
    if (m->nnodes == IMAP_QUERY_NODES)
        return imap_query_fail(m, "the query has too many terms");
    *at_r = (uint16_t)m->nnodes;
    m->nodes[m->nnodes++] = n;
    return true;
}

static bool node_join(struct maker *m, enum node_kind kind, uint16_t left, uint16_t right, uint16_t *at_r)
{
    const struct node *a = &m->nodes[left], *b = &m->nodes[right];
    return node_new(m,
                    (struct node){.kind = (uint8_t)kind,
                                  .left = left,
                                  .right = right,
                                  .unknown = a->unknown || b->unknown,
                                  .from = MIN(a->from, b->from),
                                  .to = MAX(a->to, b->to)},
                    at_r);
}

static bool push(struct maker *m, uint16_t node, uint8_t group, bool hated)
{
    if (m->nstack == IMAP_QUERY_NODES)
        return imap_query_fail(m, "the query has too many terms");
    m->stack[m->nstack++] = (struct operand){node, group, hated};
    return true;
}

/* ---- Words side by side, operators -------------------------------------------------------------- */
static bool in_run(const struct maker *m)
{
    return m->nstack > m->frames[m->depth].run;
}

/* What stands side by side becomes one operand: values of a field ORed, the rest ANDed, what has a - taken out. */
static bool run_end(struct maker *m)
{
    unsigned base = m->frames[m->depth].run;
    struct operand *o = m->stack + base;
    unsigned n = m->nstack - base;
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = i + 1; k < n && o[i].group && !o[i].hated;) {
            if (o[k].group != o[i].group || o[k].hated) {
                k++;
                continue;
            }
            if (!node_join(m, OR, o[i].node, o[k].node, &o[i].node))
                return false;
            memmove(o + k, o + k + 1, (n - k - 1) * sizeof *o);
            n--;
        }
    for (unsigned i = 0; i < n; i++) {
        uint16_t without = 0;
        if (o[i].hated) {
            struct node in = m->nodes[o[i].node];
            if (!node_new(m,
                          (struct node){.kind = NOT,
                                        .left = o[i].node,
                                        .unknown = in.unknown,
                                        .from = in.from > 0 ? in.from - 1 : 0,
                                        .to = in.to},
                          &without))
                return false;
            o[i].node = without;
        }
        if (i > 0 && !node_join(m, AND, o[0].node, o[i].node, &o[0].node))
            return false;
    }
    o[0].group = 0;
    o[0].hated = false;
    m->nstack = base + 1;
    m->frames[m->depth].run = m->nstack;
    return true;
}

static bool op_apply(struct maker *m)
{
    static const enum node_kind kinds[] = {[OP_OR] = OR, [OP_XOR] = XOR, [OP_AND] = AND};
    enum op op = m->ops[--m->nops].op;
    struct operand *top = &m->stack[m->nstack - 1];
    if (op == OP_NOT) {
        struct node in = m->nodes[top->node];
        return node_new(
            m,
            (struct node){
                .kind = NOT, .left = top->node, .unknown = in.unknown, .from = m->ops[m->nops].from, .to = in.to},
            &top->node);
    }
    if (!node_join(m, kinds[op], top[-1].node, top->node, &top[-1].node))
        return false;
    m->nstack--;
    m->frames[m->depth].run = m->nstack;
    return true;
}

/* Those of the same parentheses that bind at least as tightly. */
static bool ops_apply(struct maker *m, enum op above)
{
    while (m->nops > m->frames[m->depth].ops && m->ops[m->nops - 1].op >= above)
        if (!op_apply(m))
            return false;
    return true;
}

static bool op_push(struct maker *m, enum op op, size_t from)
{
    if (m->nops == OPS_MAX)
        return imap_query_fail(m, "the query has too many operators side by side");
    m->ops[m->nops].op = op;
    m->ops[m->nops++].from = (uint32_t)from;
    return true;
}

static bool operator_word(struct maker *m, enum op op, const char *word, size_t from)
{
    if (op == OP_NOT) {
        if (in_run(m) && (!run_end(m) || !ops_apply(m, OP_AND) || !op_push(m, OP_AND, from)))
            return false;
        return op_push(m, OP_NOT, from);
    }
    if (!in_run(m))
        return err_set(m->err, ERR_QUERY, "%s needs something before it", word);
    return run_end(m) && ops_apply(m, op) && op_push(m, op, from);
}

static bool open_paren(struct maker *m, bool hated)
{
    if (m->depth == IMAP_QUERY_DEPTH)
        return imap_query_fail(m, "the query has too many parentheses");
    m->frames[++m->depth] = (struct frame){m->nstack, m->nstack, m->nops, (uint32_t)m->at, hated};
    m->at++;
    return true;
}

static bool level_end(struct maker *m)
{
    struct frame *f = &m->frames[m->depth];
    if (in_run(m))
        return run_end(m) && ops_apply(m, OP_OR);
    if (m->nops > f->ops)
        return imap_query_fail(m, "an operator at the end needs something behind it");
    return true;
}

static bool close_paren(struct maker *m)
{
    m->at++;
    if (m->depth == 0) /* one too many is passed by, as notmuch does */
        return true;
    struct frame f = m->frames[m->depth];
    if (!level_end(m))
        return false;
    m->depth--;
    /* What was in it is one operand of the words around it: it lies on top of theirs. */
    if (m->nstack == f.first)
        return true; /* () */
    struct operand *top = &m->stack[m->nstack - 1];
    top->group = 0;
    top->hated = f.hated;
    m->nodes[top->node].from = MIN(m->nodes[top->node].from, f.begin);
    m->nodes[top->node].to = (uint32_t)m->at;
    return true;
}

/* ---- Reading ------------------------------------------------------------------------------------ */
static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Is there anything in it that an index has? */
static bool has_word(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
            return true;
    }
    return false;
}

/* A value: "..." (a doubled quote inside is one), (...), NAME="...", or up to a blank or closing bracket. */
static void value_read(struct maker *m, struct buf *out, bool *words_r)
{
    struct str q = m->q;
    size_t at = m->at;
    bool quoted = at < q.n && q.p[at] == '"', paren = at < q.n && q.p[at] == '(', end = false;
    *words_r = paren;
    for (at += quoted || paren; at < q.n && !end; at++) {
        char c = q.p[at];
        if (paren ? c == ')' : !quoted && (blank(c) || c == ')')) {
            at -= !paren;
            end = true;
        } else if (!quoted && !paren && c == '"' && q.p[at - 1] == '=') {
            quoted = true;
        } else if (quoted && c == '"' && (at + 1 == q.n || q.p[at + 1] != '"')) {
            end = true;
        } else {
            at += quoted && c == '"';
            buf_addc(out, c);
        }
    }
    m->at = at;
}

static bool term_add(struct maker *m, struct term *t, size_t from, uint8_t group, bool hated)
{
    uint16_t at = 0;
    t->node.kind = LEAF;
    t->node.unknown = t->node.known == UNKNOWN;
    t->node.from = (uint32_t)from;
    t->node.to = (uint32_t)m->at;
    return node_new(m, t->node, &at) && push(m, at, group, hated);
}

static struct str no_star(struct str s)
{
    return s.n > 1 && s.p[s.n - 1] == '*' ? str_sub(s, 0, s.n - 1) : s;
}

static bool field_value(struct maker *m, const struct field *f, size_t from, bool hated)
{
    struct buf value = BUF_INIT(IMAP_QUERY_MAX);
    bool words, ok = true;
    value_read(m, &value, &words);
    struct str v = str_trim(buf_str(&value));
    if (!v.n)
        ok = err_set(m->err, ERR_QUERY, "%s needs a value", f->prefix);
    if (ok && f->regex && v.n > 1 && v.p[0] == '/') {
        struct term t = {.m = m, .node = {.known = UNKNOWN}};
        ok = term_add(m, &t, from, (uint8_t)f->group, hated);
    } else if (ok && words) { /* each of them, wherever */
        struct str one;
        while (ok && v.n > 0) {
            v = str_trim(v);
            if (!str_split(&v, ' ', &one) || !one.n)
                continue;
            struct term t = {.m = m};
            ok = f->term(&t, no_star(one)) && term_add(m, &t, from, 0, hated);
        }
    } else if (ok) {
        struct term t = {.m = m};
        ok = f->term(&t, no_star(v)) && term_add(m, &t, from, t.alone ? G_NONE : (uint8_t)f->group, hated);
    }
    buf_fini(&value);
    return ok;
}

static bool word_add(struct maker *m, struct str word, size_t from, bool hated)
{
    struct term t = {.m = m};
    if (str_eqz(word, "*"))
        imap_query_constant(&t, true);
    else if (!has_word(word))
        return true;
    else if (!imap_query_word(&t, no_star(word)))
        return false;
    return term_add(m, &t, from, 0, hated);
}

static bool phrase(struct maker *m, bool hated)
{
    size_t from = m->at++, end = m->at;
    while (end < m->q.n && m->q.p[end] != '"')
        end++;
    struct str words = str_trim(str_sub(m->q, m->at, end));
    m->at = end + (end < m->q.n);
    return word_add(m, words, from, hated);
}

static bool is_near(struct str w)
{
    uint32_t n;
    size_t slash = w.n;
    str_find(w, '/', &slash);
    struct str name = str_sub(w, 0, slash);
    return (str_case_eqz(name, "near") || str_case_eqz(name, "adj")) &&
           (slash == w.n || str_u32(str_sub(w, slash + 1, w.n), &n));
}

static void line_add(struct buf *out, struct str line)
{
    line = str_sub(line, 0, 60);
    struct str rest = buf_str(out), one;
    while (str_split(&rest, '\n', &one))
        if (one.n && str_eq(one, line))
            return;
    if (out->n + line.n + 1 >= out->max)
        return;
    if (out->n)
        buf_addc(out, '\n');
    for (size_t i = 0; i < line.n; i++)
        buf_addc(out, (unsigned char)line.p[i] < ' ' ? ' ' : line.p[i]);
}

static bool word(struct maker *m, bool hated)
{
    static const struct {
        const char *word;
        enum op op;
    } operators[] = {{"and", OP_AND}, {"or", OP_OR}, {"xor", OP_XOR}, {"not", OP_NOT}};
    struct str rest = str_sub(m->q, m->at, m->q.n);
    size_t from = m->at, n = 0;
    for (size_t i = 0; i < imap_query_nfields; i++)
        if (str_case_starts(rest, str_z(imap_query_fields[i].prefix))) {
            m->at += strlen(imap_query_fields[i].prefix);
            return field_value(m, &imap_query_fields[i], from, hated);
        }
    while (n < rest.n && !blank(rest.p[n]) && rest.p[n] != '(' && rest.p[n] != ')' && rest.p[n] != '"')
        n++;
    m->at += n;
    struct str w = str_sub(rest, 0, n);
    for (size_t i = 0; i < COUNT(operators) && !hated; i++)
        if (str_case_eqz(w, operators[i].word))
            return operator_word(m, operators[i].op, operators[i].word, from);
    if (in_run(m) && is_near(w)) { /* both, wherever they stand: the words side by side say so */
        line_add(&m->out->wider, w);
        return true;
    }
    return word_add(m, w, from, hated);
}

static bool read_all(struct maker *m)
{
    while (m->at < m->q.n) {
        char c = m->q.p[m->at];
        bool sign = (c == '+' || c == '-') && m->at + 1 < m->q.n && !blank(m->q.p[m->at + 1]) &&
                    (m->at == 0 || blank(m->q.p[m->at - 1]) || m->q.p[m->at - 1] == '(');
        bool hated = sign && c == '-' && in_run(m); /* not at the start of an expression, as in notmuch */
        if (sign)
            c = m->q.p[++m->at];
        bool ok = true;
        if (blank(c))
            m->at++;
        else if (c == '(')
            ok = open_paren(m, hated);
        else if (c == ')')
            ok = close_paren(m);
        else if (c == '"')
            ok = phrase(m, hated);
        else
            ok = word(m, hated);
        if (!ok)
            return false;
    }
    while (m->depth > 0) /* those left open end here */
        if (!close_paren(m))
            return false;
    return level_end(m);
}

/* ---- The tree to keys --------------------------------------------------------------------------- */
/* What is unknown counts so that more is found: as true where that makes more match, as false under a NOT. A node's
 * parts lie below it, and no node has two parents. */
static void settle(struct maker *m, unsigned root)
{
    for (unsigned i = root + 1; i-- > 0;) {
        struct node *n = &m->nodes[i];
        if (n->kind == NOT) {
            m->nodes[n->left].nots = !n->nots;
        } else if (n->kind != LEAF) {
            m->nodes[n->left].nots = n->nots;
            m->nodes[n->right].nots = n->nots;
        }
        if ((n->kind == LEAF || n->kind == XOR) && n->unknown) /* an xor with something unknown says nothing */
            n->known = n->nots ? NEVER : ALWAYS;
    }
    for (unsigned i = 0; i <= root; i++) {
        struct node *n = &m->nodes[i];
        if (n->kind == LEAF || (n->kind == XOR && n->unknown))
            continue;
        uint8_t a = m->nodes[n->left].known, b = n->kind == NOT ? (uint8_t)KEY : m->nodes[n->right].known;
        n->known = KEY;
        if (n->kind == NOT)
            n->known = a == ALWAYS ? NEVER : a == NEVER ? ALWAYS : KEY;
        else if (n->kind == AND)
            n->known = a == NEVER || b == NEVER ? NEVER : a == ALWAYS && b == ALWAYS ? ALWAYS : KEY;
        else if (n->kind == OR)
            n->known = a == ALWAYS || b == ALWAYS ? ALWAYS : a == NEVER && b == NEVER ? NEVER : KEY;
        else if (a != KEY && b != KEY)
            n->known = a == b ? NEVER : ALWAYS;
    }
}

static struct str leaf_key(const struct maker *m, const struct node *n, bool under)
{
    bool narrow = under && n->not_n > 0;
    return str_sub(buf_str(&m->keys), narrow ? n->not_key : n->key, narrow ? n->not_key + n->not_n : n->key + n->key_n);
}

/* A word, and what begins with it: to a server that is the same. */
static bool same_key(const struct maker *m, const struct node *a, const struct node *b, bool under)
{
    return a->kind == LEAF && b->kind == LEAF && str_eq(leaf_key(m, a, under), leaf_key(m, b, under));
}

/* Depth: at most IMAP_QUERY_NODES. one: as a single key. */
static void emit(const struct maker *m, unsigned at, bool one, bool under, struct buf *out)
{
    const struct node *n = &m->nodes[at], *a = &m->nodes[n->left], *b = &m->nodes[n->right];
    if (out->full)
        return;
    if (n->known != KEY) {
        buf_addz(out, n->known == ALWAYS ? "ALL" : "NOT ALL");
    } else if (n->kind == LEAF) {
        buf_adds(out, leaf_key(m, n, under));
    } else if (n->kind == NOT) {
        buf_addz(out, "NOT ");
        emit(m, n->left, true, !under, out);
    } else if (n->kind != XOR && (a->known != KEY || b->known != KEY)) {
        emit(m, a->known != KEY ? n->right : n->left, one, under, out); /* and TRUE, or FALSE */
    } else if (n->kind == AND) {
        if (one)
            buf_addc(out, '(');
        emit(m, n->left, false, under, out);
        buf_addc(out, ' ');
        emit(m, n->right, false, under, out);
        if (one)
            buf_addc(out, ')');
    } else if (n->kind == OR && same_key(m, a, b, under)) {
        emit(m, n->left, one, under, out);
    } else if (n->kind == OR) {
        buf_addz(out, "OR ");
        emit(m, n->left, true, under, out);
        buf_addc(out, ' ');
        emit(m, n->right, true, under, out);
    } else { /* one without the other: twice as long for each */
        buf_addz(out, "OR (");
        emit(m, n->left, true, under, out);
        buf_addz(out, " NOT ");
        emit(m, n->right, true, !under, out);
        buf_addz(out, ") (NOT ");
        emit(m, n->left, true, !under, out);
        buf_addc(out, ' ');
        emit(m, n->right, true, under, out);
        buf_addc(out, ')');
    }
}

/* The parts of the outermost AND that hold something unknown are what is left to be compared. */
static void rest_of(struct maker *m, unsigned root)
{
    unsigned todo[IMAP_QUERY_NODES], n = 0;
    todo[n++] = root;
    while (n > 0) {
        const struct node *x = &m->nodes[todo[--n]];
        if (!x->unknown)
            continue;
        if (x->kind == AND) {
            todo[n++] = x->right;
            todo[n++] = x->left;
            continue;
        }
        struct buf *rest = &m->out->rest;
        bool minus = x->kind == NOT && m->q.p[x->from] == '-'; /* at a start it is nothing */
        buf_addf(rest, "%s(%s%.*s)", rest->n ? " and " : "", minus ? "not " : "",
                 STR_FMT(str_sub(m->q, x->from + minus, x->to)));
    }
    for (unsigned i = 0; i <= root; i++)
        if (m->nodes[i].kind == LEAF && m->nodes[i].unknown)
            line_add(&m->out->left, str_sub(m->q, m->nodes[i].from, m->nodes[i].to));
}

static bool finish(struct maker *m)
{
    if (m->nstack == 0)
        return imap_query_fail(m, "the query has no word to look for");
    unsigned root = m->stack[0].node;
    rest_of(m, root);
    settle(m, root);
    const struct node *n = &m->nodes[root];
    m->out->never = n->known == NEVER;
    m->out->nothing = n->known == ALWAYS && n->unknown;
    emit(m, root, false, false, &m->out->keys);
    return (!m->out->keys.full && !m->keys.full) || imap_query_fail(m, "the query is too long for a server");
}

bool imap_query_make(struct str query, const struct imap_query_for *to, struct imap_query *out, struct err *err)
{
    *out = (struct imap_query){.keys = BUF_INIT(IMAP_QUERY_KEYS),
                               .left = BUF_INIT(1000),
                               .wider = BUF_INIT(200),
                               .rest = BUF_INIT(2 * IMAP_QUERY_MAX)};
    if (query.n > IMAP_QUERY_MAX || memchr(query.n ? query.p : "", '\0', query.n))
        return err_set(err, query.n > IMAP_QUERY_MAX ? ERR_LIMIT : ERR_QUERY, "the query is too long or no text");
    struct maker *m = mem_new(sizeof *m);
    *m = (struct maker){.q = query, .to = to, .out = out, .err = err, .keys = BUF_INIT(4 * IMAP_QUERY_KEYS)};
    m->nodes = mem_array(IMAP_QUERY_NODES, sizeof *m->nodes);
    m->stack = mem_array(IMAP_QUERY_NODES, sizeof *m->stack);
    bool ok = read_all(m) && finish(m);
    buf_fini(&m->keys);
    free(m->nodes);
    free(m->stack);
    free(m);
    return ok;
}

void imap_query_fini(struct imap_query *q)
{
    buf_fini(&q->keys);
    buf_fini(&q->left);
    buf_fini(&q->wider);
    buf_fini(&q->rest);
}
