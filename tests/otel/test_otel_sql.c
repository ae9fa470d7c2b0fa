/* drivers: both */
/* test_otel_sql.c - adapters/skua_sql.h: statements of SQL as spans and durations.
 *
 * Specifies what is left of a text, what its summary is, spans and durations by the stable semantic
 * conventions of databases, failures with a status and without, and that nothing is done while
 * telemetry is off.
 */
#include "traced.h"

#include "metered.h"

#include "../../adapters/skua_sql.h"

TEST(sql_texts_lose_their_literals)
{
    static const struct {
        const char *text, *clean, *summary;
    } rows[] = {
        {"SELECT 1", "SELECT ?", "SELECT"},
        {"SELECT name FROM users WHERE id = $1", "SELECT name FROM users WHERE id = $1",
         "SELECT users"},
        {"select * from t1 where a=?1 and b=:b2 and c='it''s'",
         "select * from t1 where a=?1 and b=:b2 and c=?", "select t1"},
        {"INSERT INTO orders (a, b) VALUES (1.5e-3, 0xff), (-2, E'a\\'b')",
         "INSERT INTO orders (a, b) VALUES (?, ?), (-?, E?)", "INSERT orders"},
        {"UPDATE shop.users SET a = $$it's$$, b = $tag$ $$ $tag$",
         "UPDATE shop.users SET a = ?, b = ?", "UPDATE shop.users"},
        {"DELETE FROM \"a b\" WHERE x = 'never ends", "DELETE FROM \"a b\" WHERE x = ?",
         "DELETE \"a"},
        {"SELECT * FROM a JOIN b ON a.id = b.a", "SELECT * FROM a JOIN b ON a.id = b.a",
         "SELECT a b"},
        {"CREATE TABLE IF NOT EXISTS t (a int)", "CREATE TABLE IF NOT EXISTS t (a int)",
         "CREATE t"},
        {"INSERT INTO a SELECT * FROM (SELECT 1) AS b",
         "INSERT INTO a SELECT * FROM (SELECT ?) AS b", "INSERT a"},
        {"SELECT a FROM t WHERE price > .5 AND t.b < -.25e+3 AND c = t1.d",
         "SELECT a FROM t WHERE price > ? AND t.b < -? AND c = t1.d", "SELECT t"},
        {"", "", ""},
        {"'", "?", ""},
        {"\"", "?", ""},
        {"$", "$", "$"},
        {"$$", "?", ""},
    };

    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        char room[SKUA_SQL_TEXT_MAX], summary[SKUA_SQL_SUMMARY_MAX];
        size_t len = skua_sql_sanitize(rows[i].text, room);

        if (!CHECK(len == strlen(rows[i].clean) && memcmp(room, rows[i].clean, len) == 0))
            test_note("%s: %.*s", rows[i].text, (int)len, room);
        skua_sql_summarize(room, len, summary);
        if (!CHECK(strcmp(summary, rows[i].summary) == 0))
            test_note("%s: %s", rows[i].text, summary);
    }
}

/* A quote that opens nothing must not turn outside and inside round: behind it literals would be
 * what stays. */
TEST(sql_quotes_that_open_no_literal)
{
    static const struct {
        const char *text, *clean, *summary;
    } rows[] = {
        {"/* it's */ SELECT a FROM t WHERE b = 'secret'", "  SELECT a FROM t WHERE b = ?",
         "SELECT t"},
        {"SELECT a -- it's\nFROM t WHERE b = 'secret'", "SELECT a  \nFROM t WHERE b = ?",
         "SELECT t"},
        {"SELECT 1/* /* ' */ ' */+2 /* ' ", "SELECT ? +?  ", "SELECT"},
        {"SELECT \"o'clock\", `a\"'b` FROM \"t\"\"'\" WHERE b = 'secret'",
         "SELECT \"o?clock\", `a\"?b` FROM \"t\"\"?\" WHERE b = ?", "SELECT \"t\"\""},
        {"SELECT \"never ends 'secret", "SELECT ?", "SELECT"},
        {"SELECT a FROM t WHERE b LIKE'%\\' AND c = 'secret'",
         "SELECT a FROM t WHERE b LIKE? AND c = ?", "SELECT t"},
        {"SELECT a-b, a / b * c FROM t", "SELECT a-b, a / b * c FROM t", "SELECT t"},
    };

    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        char room[SKUA_SQL_TEXT_MAX], summary[SKUA_SQL_SUMMARY_MAX];
        size_t len = skua_sql_sanitize(rows[i].text, room);

        if (!CHECK(len == strlen(rows[i].clean) && memcmp(room, rows[i].clean, len) == 0))
            test_note("%s: %.*s", rows[i].text, (int)len, room);
        skua_sql_summarize(room, len, summary);
        if (!CHECK(strcmp(summary, rows[i].summary) == 0))
            test_note("%s: %s", rows[i].text, summary);
    }
}

/* Of any bytes, and of any length. */
TEST(sql_texts_of_any_kind)
{
    static const char letters[] = "'\"`$$-/*E\\?:@a1 ().eFROM INTO\n\xc3";
    uint64_t seed = test_seed();
    char text[3000], room[SKUA_SQL_TEXT_MAX], summary[SKUA_SQL_SUMMARY_MAX];

    for (int i = 0; i < TEST_COUNT(2000); i++) {
        size_t len = test_random(&seed) % (sizeof text - 1);

        for (size_t k = 0; k < len; k++)
            text[k] = letters[test_random(&seed) % (sizeof letters - 1)];
        text[len] = '\0';
        len = skua_sql_sanitize(text, room);
        CHECK_RANGE(len, 0, SKUA_SQL_TEXT_MAX);
        CHECK(memchr(room, '\'', len) == NULL);
        skua_sql_summarize(room, len, summary);
        CHECK(memchr(summary, '\0', sizeof summary) != NULL);
    }
}

static void runs_on(const char *system, const char *text, const char *status, int rc)
{
    skua_sql sql;

    skua_sql_begin(&sql, system, text);
    if (status != NULL)
        skua_sql_status(&sql, status);
    skua_sql_end(&sql, rc);
}

static void runs(const char *text, const char *status, int rc)
{
    runs_on("postgresql", text, status, rc);
}

TEST_FIBER(sql_of_mysql_has_other_literals)
{
    static skua_otel_destination to;
    const skua_otel_span *span;

    MUST(skua_otel_memory_new(&traced_memory) == 0);
    to = (skua_otel_destination){.exporter = traced_memory};
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1)) == 0);
    runs_on("mysql",
            "SELECT `a'` FROM t WHERE b = 'it\\'s secret' # it's\nAND c = \"secret\\\" \" "
            "AND d = 5--'secret'",
            NULL, 0);
    MUST(traced_wait(1));
    span = traced_next(NULL, SKUA_SPAN_CLIENT, "SELECT t");
    MUST(span != NULL);
    CHECK_ATTRS(span,
                {"db.query.text", "SELECT `a?` FROM t WHERE b = ?  \nAND c = ? AND d = ?--?"});
    CHECK_EQ(skua_otel_shutdown(skua_now() + 2 * TEST_LATE), 0);
    skua_otel_memory_free(traced_memory);
    return 0;
}

TEST_FIBER(sql_statements_are_spans_and_durations)
{
    static skua_otel_destination to;
    const skua_otel_span *span;
    const skua_otel_metric *took;

    runs("SELECT off", NULL, 0);
    MUST(skua_otel_memory_new(&traced_memory) == 0);
    metered.reader[0] = metered_reader(SKUA_OTEL_PREFER_CUMULATIVE, 0);
    to = (skua_otel_destination){.exporter = traced_memory};
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                           .readers = metered.reader, .readers_count = 1)) == 0);
    runs("SELECT name FROM users WHERE id = 7", NULL, 3);
    runs("INSERT INTO orders VALUES ($1)", "23505", -EEXIST);
    runs("INSERT INTO orders VALUES ($1)", NULL, -ECONNRESET);
    MUST(traced_wait(3));
    span = traced_next(NULL, SKUA_SPAN_CLIENT, "SELECT users");
    MUST(span != NULL);
    CHECK_ATTRS(span, {"db.system.name", "postgresql"}, {"db.query.summary", "SELECT users"},
                {"db.query.text", "SELECT name FROM users WHERE id = ?"}, {"error.type", ""},
                {"db.response.status_code", ""});
    CHECK_EQ(span->status, SKUA_SPAN_UNSET);
    span = traced_next(NULL, SKUA_SPAN_CLIENT, "INSERT orders");
    MUST(span != NULL);
    CHECK_ATTRS(span, {"db.response.status_code", "23505"}, {"error.type", "23505"});
    CHECK_EQ(span->status, SKUA_SPAN_ERROR);
    span = traced_next(span, SKUA_SPAN_CLIENT, "INSERT orders");
    MUST(span != NULL);
    CHECK_ATTRS(span, {"db.response.status_code", ""}, {"error.type", "ECONNRESET"});
    metered_collect(0);
    took = metered_metric("db.client.operation.duration");
    MUST(took != NULL);
    CHECK_EQ(took->points_count, 3);
    CHECK_EQ(metered_point("db.client.operation.duration", "error.type", "23505")->count, 1);
    CHECK_EQ(
        metered_point("db.client.operation.duration", "db.query.summary", "SELECT users")->count,
        1);
    skua_otel_collected_free(metered.got);
    metered.got = NULL;
    CHECK_EQ(skua_otel_shutdown(skua_now() + 2 * TEST_LATE), 0);
    skua_otel_reader_free(metered.reader[0]);
    metered.reader[0] = NULL;
    skua_otel_memory_free(traced_memory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sql_texts_lose_their_literals),
        cmocka_unit_test(sql_quotes_that_open_no_literal),
        cmocka_unit_test(sql_texts_of_any_kind),
        cmocka_unit_test(sql_of_mysql_has_other_literals),
        cmocka_unit_test(sql_statements_are_spans_and_durations),
    };

    return TEST_MAIN(tests);
}
