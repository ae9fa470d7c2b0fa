/* tcp_lines.c - the lines of a connection: a lines stream over the connection's read future. */
#include <skua/net.h>

static skua_future *tcp_lines_read(void *arg, void *buf, size_t len)
{
    skua_tcp_lines *self = arg;

    return skua_tcp_read_init(&self->read, self->tcp, buf, len);
}

skua_stream *skua_tcp_lines_init(skua_tcp_lines *lines, skua_tcp *tcp, char *buf, size_t size)
{
    lines->tcp = tcp;
    return skua_stream_lines_init(&lines->lines, tcp_lines_read, lines, buf, size);
}
