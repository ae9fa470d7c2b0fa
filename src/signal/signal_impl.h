/* signal_impl.h - what the floors above may do with a listener, and users may not. */
#ifndef SKUA_SIGNAL_SIGNAL_IMPL_H
#define SKUA_SIGNAL_SIGNAL_IMPL_H

#include <skua/signal.h>

#include "sync/sync_wait.h"

/* Ends a listener as skua_signals_close does, but leaves it: whoever asks it later is told, too.
 * Its skua_signals_close is still to come. */
void skua__signals_shut(skua_signals *signals);

#endif
