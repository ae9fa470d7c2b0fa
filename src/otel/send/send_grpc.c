/* send_grpc.c - one try over gRPC: a unary call, its status, and what that means.
 *
 *   OK                                                  arrived; the reply may reject a part of it
 *   CANCELLED DEADLINE_EXCEEDED ABORTED OUT_OF_RANGE
 *   UNAVAILABLE DATA_LOSS                               again, not before what a RetryInfo says
 *   RESOURCE_EXHAUSTED                                  again if there is a RetryInfo
 *   others                                              an error for good
 *
 * A server that is not there is UNAVAILABLE (grpc_client.h). A message that is too long on this
 * side is RESOURCE_EXHAUSTED without a RetryInfo, which is final, as it should be.
 */
#include "otel/send/send_impl.h"

#include <skua/http/grpc_client.h>

static const char *const grpc_methods[] = {
    "opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "opentelemetry.proto.collector.logs.v1.LogsService/Export"};

bool skua__send_has_grpc(void)
{
#ifdef SKUA_HAVE_HTTP2
    return true;
#else
    return false;
#endif
}

static void grpc_failure(const skua_grpc_status *status, struct skua__send_answer *answer)
{
    bool asked = skua_grpc_retry_delay(status, &answer->after) != 0;

    if (!asked)
        answer->after = -1;
    else if (answer->after > SKUA__SEND_AFTER_MAX * SKUA_SECOND)
        answer->after = SKUA__SEND_AFTER_MAX * SKUA_SECOND;
    switch (status->code) {
    case SKUA_GRPC_RESOURCE_EXHAUSTED:
        answer->rc = asked ? -EAGAIN : -EPROTO;
        break;
    case SKUA_GRPC_CANCELLED:
    case SKUA_GRPC_ABORTED:
    case SKUA_GRPC_OUT_OF_RANGE:
    case SKUA_GRPC_UNAVAILABLE:
    case SKUA_GRPC_DATA_LOSS:
        answer->rc = -EAGAIN;
        break;
    case SKUA_GRPC_DEADLINE_EXCEEDED:
        answer->rc = -ETIMEDOUT;
        break;
    case SKUA_GRPC_INVALID_ARGUMENT:
        answer->rc = -EINVAL;
        break;
    case SKUA_GRPC_UNAUTHENTICATED:
    case SKUA_GRPC_PERMISSION_DENIED:
        answer->rc = -EACCES;
        break;
    case SKUA_GRPC_NOT_FOUND:
    case SKUA_GRPC_UNIMPLEMENTED:
        answer->rc = -ENOENT;
        break;
    default:
        answer->rc = -EPROTO;
        break;
    }
    answer->again = answer->rc == -EAGAIN || answer->rc == -ETIMEDOUT;
    skua__send_text(answer->text, status->message, strlen(status->message));
}

void skua__send_grpc(struct skua__send *self, skua_http_client *client,
                     const struct skua__send_request *request, struct skua__send_answer *answer)
{
    skua_grpc_entry metadata[1 + SKUA__SEND_HEADERS];
    int64_t left = request->deadline - skua_now();
    size_t count = 0, len;
    skua_grpc_call *call;
    const void *reply;
    int rc;

    metadata[count++] = (skua_grpc_entry){"user-agent", SKUA__SEND_AGENT, 0};
    for (size_t i = 0; i < self->headers_count; i++)
        metadata[count++] = (skua_grpc_entry){self->headers[i].name, self->headers[i].value, 0};
    rc = skua_grpc_unary(
        client, self->urls[request->signal], grpc_methods[request->signal], request->body,
        request->len,
        SKUA_GRPC_CALL_OPTIONS(.metadata = metadata, .metadata_count = count,
                               .timeout = left > 0 ? left : 1, .recv_max = self->response_max,
                               .compress_min = self->gzip ? 1 : 0, .unix_path = self->unix_path),
        &call, &reply, &len);
    if (rc < 0) {
        answer->rc = rc;
        answer->again = skua_otel_may_succeed(rc) != 0 && rc != -ECANCELED;
        return;
    }
    answer->status = rc;
    answer->answered = true;
    if (rc != SKUA_GRPC_OK)
        grpc_failure(skua_grpc_status_of(call), answer);
    else if (skua__send_reply(reply, len, answer) != 0)
        answer->rc = -EBADMSG;
    skua_grpc_close(call);
}
