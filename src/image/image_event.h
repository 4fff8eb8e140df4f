/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* image_event — what happens to images, told to the log of events. */
struct dirs;
struct image;

/* @name: as users are told it; NULL: the event is of no name, and says the id there, as Docker does. */
void image_event(const struct dirs *d, const struct image *i, const char *action, const char *name);
/* The same by id, "sha256:…": with the image's labels if it is there. */
void image_event_id(const struct dirs *d, const char *id, const char *action, const char *name);
