/* A tag is one word in all lists of tags here: a blank in it, as labels of Gmail and tags of notmuch's command line
 * have them, is written as a no-break space (U+00A0), which looks the same. A tag with such a space of its own does not
 * come back as it was. */
#ifndef TUIMAIL_MAIL_TAG_H
#define TUIMAIL_MAIL_TAG_H

#include "base/base.h"

#define TAG_BLANK "\xC2\xA0"

/* Appends the word for a tag (any bytes). */
static inline void tag_to_word(struct str tag, struct buf *out)
{
    for (size_t i = 0; i < tag.n; i++)
        if (tag.p[i] == ' ')
            buf_addz(out, TAG_BLANK);
        else
            buf_addc(out, tag.p[i]);
}

/* Appends the tag that a word stands for. */
static inline void tag_from_word(struct str word, struct buf *out)
{
    for (size_t i = 0; i < word.n; i++)
        if (str_starts(str_sub(word, i, word.n), STR(TAG_BLANK))) {
            buf_addc(out, ' ');
            i += sizeof TAG_BLANK - 2;
        } else {
            buf_addc(out, word.p[i]);
        }
}

#endif
