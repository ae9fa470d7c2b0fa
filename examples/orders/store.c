/* store.c - what both stores need. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>

void order_free(struct order *order)
{
    free(order->items);
    order->items = NULL;
}

void page_free(struct page *page)
{
    for (int i = 0; i < page->count; i++)
        order_free(&page->orders[i]);
    page->count = 0;
}

void store_copy(char *ret, size_t size, const char *text)
{
    (void)snprintf(ret, size, "%s", text != NULL ? text : "");
}
