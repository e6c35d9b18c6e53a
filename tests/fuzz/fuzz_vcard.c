/* vCards: no crash, no leak, and what comes out keeps its bounds. */
#include "mail/mail.h"
#include "mail/vcard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size};
    struct arena *arena = arena_new(1u << 20);
    struct vcard *card = mem_new(sizeof *card);
    size_t left = rest.n + 1;
    while (vcard_next(&rest, arena, card)) {
        if (rest.n >= left)
            bug("a card that takes nothing");
        left = rest.n;
        if (card->nemails > VCARD_EMAILS_MAX || card->nmembers > VCARD_MEMBERS_MAX || card->name.n > 2 * VCARD_LINE_MAX)
            bug("more than a card may have");
        for (size_t i = 0; i < card->nemails; i++)
            if (card->emails[i].n > 0 && !mail_addr_valid(card->emails[i]))
                bug("an address that is none");
    }
    free(card);
    arena_free(&arena);
    return 0;
}
