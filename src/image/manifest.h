/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * manifest — the JSON documents of image archives: OCI index and manifest (Docker's are alike), image config, and the manifest.json and
 * repositories of Docker archives. Pure; hostile input: sizes and counts have limits, every digest is checked before it is used.
 */
#include "base/macros.h"
#include "base/str.h"
#include "image/platform.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct json_at;

#define MANIFEST_JSON_MAX    (4U * 1024 * 1024)
#define MANIFEST_MAX_LAYERS  4096
#define MANIFEST_MAX_ENTRIES 4096
#define MANIFEST_MAX_NAMES                                                                         \
        4096 /* of one image; each is looked for among the others, and becomes a file */

enum descriptor_kind {
        DESCRIPTOR_MANIFEST,
        DESCRIPTOR_INDEX,
        DESCRIPTOR_OTHER,
        DESCRIPTOR_KIND_COUNT
};
struct descriptor {
        char *media_type; /* "" when absent */
        char *digest;     /* sha256 */
        uint64_t size;
        bool has_platform, attestation, foreign;
        struct platform platform;
        char *ref_name, *image_name; /* annotations; NULL when absent */
};
void descriptor_release(struct descriptor *d);
enum descriptor_kind descriptor_kind(const struct descriptor *d);

struct descriptor_list {
        struct descriptor *v;
        size_t n;
};
void descriptor_list_release(struct descriptor_list *l);
/* An index; entries of unknown media types are kept (DESCRIPTOR_OTHER), entries with unusable digests are errors. */
int index_parse(const char *data, size_t n, const char *what, struct descriptor_list *ret,
                struct err **reterr);

struct manifest {
        struct descriptor config;
        struct descriptor_list layers;
        bool artifact; /* its config is no image's */
};
int manifest_parse(const char *data, size_t n, const char *what, struct manifest *ret,
                   struct err **reterr);
void manifest_release(struct manifest *m);

struct config_summary {
        struct platform platform;
        struct strv diff_ids;
};
int config_parse(const char *data, size_t n, const char *what, struct config_summary *ret,
                 struct err **reterr);
void config_summary_release(struct config_summary *c);

/* manifest.json of a Docker archive. */
struct docker_image {
        char *config;             /* path in the archive */
        struct strv tags, layers; /* layers: paths in the archive, lowest first */
};
struct docker_manifest {
        struct docker_image *v;
        size_t n;
};
int docker_manifest_parse(const char *data, size_t n, struct docker_manifest *ret,
                          struct err **reterr);
void docker_manifest_release(struct docker_manifest *m);

/* repositories: {"name": {"tag": "id"}} as "name:tag" and id, side by side. */
int repositories_parse(const char *data, size_t n, struct strv *ret_names, struct strv *ret_ids,
                       struct err **reterr);

/* A manifest for layers that come without one. Descriptors are written in the order and with the types given; caller frees. */
struct manifest_layer {
        const char *media_type, *digest;
        uint64_t size;
};
#define MEDIA_OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_CONFIG      "application/vnd.oci.image.config.v1+json"
#define MEDIA_OCI_LAYER       "application/vnd.oci.image.layer.v1.tar"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_CONFIG   "application/vnd.docker.container.image.v1+json"
#define MEDIA_DOCKER_LAYER    "application/vnd.docker.image.rootfs.diff.tar"
char *manifest_build(const char *config_digest, uint64_t config_size,
                     const struct manifest_layer *layers, size_t n);
/* The same as Docker's own kind of manifest. */
char *manifest_build_docker(const char *config_digest, uint64_t config_size,
                            const struct manifest_layer *layers, size_t n);
/* The media type for a layer that has @media_type in some manifest. */
const char *manifest_layer_type(const char *media_type, bool docker);
