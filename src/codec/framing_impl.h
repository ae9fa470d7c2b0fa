/* framing_impl.h - what a kind of framing is: how a frame is read, and how one is written. */
#ifndef SKUA_CODEC_FRAMING_IMPL_H
#define SKUA_CODEC_FRAMING_IMPL_H

#include <skua/framing.h>

#include "codec/codec_impl.h"

struct skua__framing_kind {
    int (*read)(skua_framing *self, skua_reader *reader, const char **frame, size_t *len);
    int (*write)(skua_framing *self, skua_writer *writer, const void *frame, size_t len);
};

/* Writes two parts, both or none (writer.c): 0 or a negative code. */
int skua__writer_write_both(skua_writer *writer, const void *first, size_t first_len,
                            const void *second, size_t second_len);

/* A framing of a kind; max 0: the default. */
int skua__framing_init(skua_framing *self, const struct skua__framing_kind *kind, size_t max);

#endif
