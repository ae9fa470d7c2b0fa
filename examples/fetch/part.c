/* part.c - NAME.part, which becomes NAME when it is whole, and NAME.part.tag beside it.
 *
 *   run 1    NAME.part.tag: URL, ETag;  NAME.part: the first bytes          (cut, Ctrl-C, power)
 *   run 2    asks for the rest "if it is still this ETag"; all of it, if not
 *   done     NAME.part is synced and becomes NAME; the tag goes
 *
 * The tag is written before the first byte of its version, and an old one removed before the file
 * is emptied: whenever the program ends, bytes are never taken for those of another version. A part
 * without a tag begins anew.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetch.h"

#define NOTES_MAX 8192

/* Takes the tag out of the notes, if they are of this URL: "URL\nTAG\n". */
static void part_read_notes(struct part *part, const struct download *download)
{
    size_t url = strlen(download->url);
    void *data;
    ssize_t n = skua_fs_read(part->notes, &data, NOTES_MAX);
    const char *text = data;
    size_t tag;

    part->tag[0] = '\0';
    if (n < 0)
        return;
    if ((size_t)n > url + 2 && memcmp(text, download->url, url) == 0 && text[url] == '\n' &&
        text[n - 1] == '\n') {
        tag = (size_t)n - url - 2;
        if (tag < sizeof part->tag && memchr(text + url + 1, '\n', tag) == NULL &&
            memchr(text + url + 1, '\0', tag) == NULL) {
            memcpy(part->tag, text + url + 1, tag);
            part->tag[tag] = '\0';
        }
    }
    free(data);
}

int part_open(struct part *part, const struct download *download)
{
    skua_metadata metadata;
    int rc;

    (void)snprintf(part->path, sizeof part->path, "%s.part", download->name);
    (void)snprintf(part->notes, sizeof part->notes, "%s.part.tag", download->name);
    rc = skua_file_open(&part->file, part->path,
                        SKUA_FILE_OPTIONS(.read = 1, .write = 1, .create = 1, .no_follow = 1));
    if (rc != 0)
        return rc;
    rc = skua_file_try_lock(part->file, SKUA_FILE_EXCLUSIVE);
    if (rc == 0)
        rc = skua_file_metadata(part->file, &metadata);
    if (rc != 0) {
        (void)skua_file_close(part->file);
        return rc == -EAGAIN ? -EBUSY : rc;
    }
    part_read_notes(part, download);
    part->have = part->tag[0] != '\0' ? (int64_t)metadata.size : 0;
    return 0;
}

int part_restart(struct part *part, const struct download *download, const char *tag)
{
    size_t size = strlen(download->url) + sizeof part->tag + 3;
    char *notes;
    int rc = skua_fs_remove(part->notes);

    if (rc == 0 || rc == -ENOENT)
        rc = skua_file_truncate(part->file, 0);
    if (rc != 0)
        return rc;
    part->have = 0;
    part->tag[0] = '\0';
    if (tag == NULL || *tag == '\0' || strlen(tag) >= sizeof part->tag)
        return 0;
    notes = malloc(size);
    if (notes == NULL)
        return -ENOMEM;
    (void)snprintf(part->tag, sizeof part->tag, "%s", tag);
    (void)snprintf(notes, size, "%s\n%s\n", download->url, tag);
    rc = skua_fs_write_atomic(part->notes, notes, strlen(notes), 0666);
    free(notes);
    return rc;
}

int part_write(struct part *part, const void *buf, size_t len)
{
    ssize_t n = skua_file_pwrite_all(part->file, buf, len, part->have);

    if (n < 0)
        return (int)n;
    part->have += n;
    return 0;
}

int part_close(struct part *part, const struct download *download, bool done)
{
    int rc = 0;
    int closed;

    if (done) { /* of a longer one, before, whose server has changed its mind */
        rc = skua_file_truncate(part->file, part->have);
        if (rc == 0)
            rc = skua_file_sync(part->file);
        if (rc == 0)
            rc = skua_fs_rename(part->path, download->name, 0);
        if (rc == 0)
            (void)skua_fs_remove(part->notes);
    } else if (part->have == 0) {
        (void)skua_fs_remove(part->path);
        (void)skua_fs_remove(part->notes);
    }
    closed = skua_file_close(part->file);
    return rc != 0 ? rc : closed;
}
