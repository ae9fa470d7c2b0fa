/* test_pool_close.c - a pool that is being closed, seen by its own callbacks.
 *
 * Specifies pool.h: closed is closed at once, though destroy takes its time for each of them.
 */
#include "../lib/part.h"

struct closing {
    skua_pool *pool;
    int asked;
};

static int closing_create(void *ctx, void **object)
{
    *object = &((struct closing *)ctx)->asked;
    return 0;
}

static void closing_destroy(void *ctx, void *object)
{
    struct closing *self = ctx;
    void *other = NULL;

    (void)object;
    self->asked++;
    CHECK_EQ(skua_pool_try_get(self->pool, &other), SKUA_ECLOSED);
    CHECK_EQ(skua_pool_get(self->pool, &other), SKUA_ECLOSED);
    CHECK(other == NULL);
}

/* It hands nothing out, even before the last idle object is destroyed. */
TEST_WAITING(pool_is_closed_at_once)
{
    struct closing closing = {0};
    void *objects[3];

    MUST(skua_pool_new(&closing.pool,
                       SKUA_POOL_OPTIONS(.create = closing_create, .destroy = closing_destroy,
                                         .ctx = &closing)) == 0);
    for (int i = 0; i < 3; i++)
        MUST(skua_pool_get(closing.pool, &objects[i]) == 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_pool_put(closing.pool, objects[i]), 0);
    skua_pool_close(closing.pool);
    CHECK_EQ(closing.asked, 3);
    CHECK_EQ(skua_pool_free(closing.pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(pool_is_closed_at_once),
    };

    return TEST_MAIN(tests);
}
