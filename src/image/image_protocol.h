/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * image_protocol — what `kelp` (and later the API) and kelp-image say to each other.
 *
 * "kelp-image VERB ROOT" with the descriptors
 *   0  input: the archive (file, pipe) or the directory to read; /dev/null
 *   1  output: the archive (file, pipe) or the directory to write; /dev/null
 *   2  errors that can't be told otherwise
 *   3  STATUS, SOCK_SEQPACKET: one JSON object per datagram, kelp-image → caller
 *   4  REQUEST: a memfd with a JSON object
 * It ends by itself when the caller dies.
 *
 * STATUS messages:
 *   {"event":"progress","item":S,"done":N,"total":N}   bytes; total 0: unknown. At most some ten a second per item
 *   {"event":"warning","text":S}
 *   {"event":"result", …}                              the verb's, any number of them
 *   {"event":"done"}                                   last: everything is on disk
 *   {"event":"error","error":{…err_encode…}}           last: nothing of it is, but images that had their "result"
 * EOF without "done" or "error": kelp-image was killed; what it left in tmp/ is swept by the next writer.
 *
 * Verb, REQUEST and results (members with ? may be absent):
 *   load          {"what":S, "platform"?:S}
 *                 → {"id":"sha256:…","name"?:formatted reference}, one per name, or one without a name
 *   import        {"what":S, "name"?:formatted reference, "changes"?:[S], "message"?:S, "platform"?:"os/arch[/variant]"}
 *                 → {"id":"sha256:…"}
 *   save          {"images":[{"id":…,"manifest":…,"names":[formatted]}], "format":"docker"|"oci"|"docker-v1"}
 *                 output: a directory (oci only) or anything that can be written; → nothing
 *   reown         {"layers":[name], "uid":[{containerID,hostID,size}], "gid":[…]}  container → caller's namespace
 *   flatten       {"layers":[name], "uid":…, "gid":…, "target":path of an empty directory below the data root}
 *   volume-fill   {"volume":name, "path":S, "layers":[directory below the data root, lowest first], "uid":N, "gid":N}  ids in U of an owner, for a path that
 *                 the image lacks; no layers: input is the root directory
 *   volume-import {"volume":name, "what":S}  input: the archive
 *   image-user    {"layers":[name], "user"?:S, "volumes"?:[absolute name]}  → {"uid":N, "gid":N}, or nothing: it is root's
 *   remove-trees  {"names":[entry of tmp/]}
 *
 * A container is described by {"container":id, "driver":S, "now":S, "dirs":[S], "layers":[name], "uid":[…], "gid":[…], "mounts":[S], "fresh"?:B}:
 * its own directory and those of its layers (lowest first), relative to the data root; container → U; absolute names of mount points; fresh:
 * never mounted. Without "now" the input is the directory.
 *   changes       (of kelp-changes, which has no other) {container} output: for each a letter (A, C, D), the absolute name, a NUL
 *   export        {container} output: an archive
 *   commit        {container, "image"?:"sha256:…", "config":Docker's Config, "createdBy":S, "changes"?:[S], "author"?:S, "message"?:S,
 *                  "docker"?:B, "squash"?:B, "name"?:formatted reference}
 *                 → {"id":"sha256:…"}
 *   copy          {"from":SIDE, "to":SIDE, "archive"?:B, "overwrite"?:B}  input and output: the directories (O_PATH will do) in which the sides are
 *                 looked up. SIDE: {"what":the user's words, "path":S, "name"?:what it is called in the destination, "container"?:B (links are
 *                 resolved), "directory"?:B (it has to be one), "contents"?:B (of a directory), "follow"?:B, "stream"?:B (an archive), "uid"?:[…], "gid"?:[…],
 *                 "volumes"?:[{"dev":N, "ino":N}, …] (of Kelp's, that are mounted in it: setuid bits may stay there)}
 */
#define IMAGE_PROGRAM     "kelp-image"
#define CHANGES_PROGRAM   "kelp-changes"
#define IMAGE_FD_INPUT    0
#define IMAGE_FD_OUTPUT   1
#define IMAGE_FD_STATUS   3
#define IMAGE_FD_REQUEST  4
#define IMAGE_MESSAGE_MAX 65536
#define IMAGE_REQUEST_MAX (4 * 1024 * 1024)
