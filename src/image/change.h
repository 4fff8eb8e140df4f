/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * change — one Dockerfile instruction applied to an image's config ("config" object of the OCI config, Docker's field names).
 *
 * CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR, in Dockerfile syntax ("CMD [\"a\"]", "CMD a b",
 * "ENV A=1 B=2", "ENV A 1"), or with '=' behind the instruction as Podman takes it. Pure.
 */
struct err;
struct json_object;
struct strv;

/* ERR_USAGE names the instruction and what is wrong with it; @config is unchanged then. */
int change_apply(struct json_object *config, const char *instruction, struct err **reterr);
/* Words as the Dockerfile's: quotes group, a backslash takes the next character literally. ERR_USAGE on an open quote. */
int change_split_words(const char *text, struct strv *ret, struct err **reterr);
