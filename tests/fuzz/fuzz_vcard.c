/* vCards: no crash, no leak, what comes out keeps its bounds, and the pieces in which a file comes make no difference.
 */
#include "mail/mail.h"
#include "mail/vcard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t sum_of(const struct vcard *card)
{
    uint64_t sum = str_hash(card->name) * 31 + str_hash(card->uid) + card->nmembers;
    if (card->nemails > VCARD_EMAILS_MAX || card->nmembers > VCARD_MEMBERS_MAX || card->name.n > 2 * VCARD_LINE_MAX)
        bug("more than a card may have");
    for (size_t i = 0; i < card->nemails; i++) {
        if (card->emails[i].n > 0 && !mail_addr_valid(card->emails[i]))
            bug("an address that is none");
        sum = sum * 31 + str_hash(card->emails[i]);
    }
    return sum;
}

static uint64_t read_by(struct str all, size_t piece)
{
    struct vcard_reader *r = vcard_reader_new();
    const struct vcard *card;
    uint64_t sum = 0;
    for (size_t at = 0; at < all.n; at += piece) {
        struct str rest = str_sub(all, at, at + piece);
        while ((card = vcard_read(r, &rest)))
            sum = sum * 31 + sum_of(card);
    }
    if ((card = vcard_read_end(r)))
        sum = sum * 31 + sum_of(card);
    vcard_reader_free(&r);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = {(const char *)data, size};
    if (read_by(all, SIZE_MAX / 2) != read_by(all, 1 + size % 7))
        bug("other pieces are other cards");
    return 0;
}
