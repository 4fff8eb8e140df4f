/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random_id.h"

#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void random_bytes(void *buf, size_t n)
{
        /* Up to 256 bytes getrandom(2) neither fails nor returns short once the pool is ready; before, it waits. */
        if (getrandom(buf, n, 0) != (ssize_t)n)
                abort();
}

/* Docker's short id is the first 12 digits; all decimal, it would be taken for a number (a pid, a port) by scripts. */
static bool random_id_looks_decimal(const char *id)
{
        return strspn(id, "0123456789") >= 12;
}

void random_id(char buf[RANDOM_ID_LEN + 1])
{
        static const char hex[] = "0123456789abcdef";
        uint8_t bytes[RANDOM_ID_LEN / 2];

        do {
                random_bytes(bytes, sizeof(bytes));
                for (size_t i = 0; i < sizeof(bytes); i++) {
                        buf[2 * i] = hex[bytes[i] >> 4];
                        buf[2 * i + 1] = hex[bytes[i] & 15];
                }
                buf[RANDOM_ID_LEN] = '\0';
        } while (random_id_looks_decimal(buf));
}

/* Things that live by the sea, and how they are. */
static const char *const random_adjectives[] = {
    "amber",  "ancient", "bold",    "brave",   "breezy", "bright",   "brisk",  "busy",   "calm",
    "candid", "cheery",  "clever",  "coastal", "cool",   "curious",  "daring", "deep",   "eager",
    "early",  "easy",    "fair",    "fancy",   "fast",   "fearless", "fluent", "fresh",  "gentle",
    "glad",   "golden",  "grand",   "green",   "happy",  "hardy",    "honest", "humble", "jolly",
    "keen",   "kind",    "light",   "lively",  "lucky",  "mellow",   "merry",  "mighty", "modest",
    "nimble", "noble",   "patient", "placid",  "plucky", "polite",   "proud",  "quick",  "quiet",
    "ready",  "rapid",   "salty",   "serene",  "silent", "silver",   "sleepy", "steady", "sunny",
    "swift",  "tidal",   "tidy",    "trusty",  "upbeat", "vivid",    "warm",   "wise",   "witty",
};
static const char *const random_nouns[] = {
    "abalone",  "albatross", "anchor",    "anemone", "barnacle", "bay",       "beacon",  "beluga",
    "breaker",  "buoy",      "clam",      "cockle",  "coral",    "cormorant", "cove",    "crab",
    "current",  "cuttle",    "delta",     "dolphin", "dory",     "dulse",     "dune",    "eel",
    "estuary",  "fjord",     "flounder",  "gannet",  "grouper",  "gull",      "haddock", "harbor",
    "heron",    "herring",   "island",    "jetty",   "kelp",     "ketch",     "krill",   "lagoon",
    "limpet",   "lobster",   "manatee",   "marlin",  "minnow",   "mussel",    "narwhal", "nautilus",
    "octopus",  "orca",      "osprey",    "otter",   "oyster",   "pelican",   "petrel",  "plover",
    "puffin",   "reef",      "sandpiper", "seal",    "shoal",    "shrimp",    "skiff",   "squid",
    "starfish", "sturgeon",  "tern",      "tide",    "turtle",   "urchin",    "walrus",  "whelk",
};

void random_name(char *buf, unsigned long size)
{
        uint32_t n[2];

        random_bytes(n, sizeof(n));
        (void)snprintf(buf, size, "%s_%s", random_adjectives[n[0] % ARRAY_SIZE(random_adjectives)],
                       random_nouns[n[1] % ARRAY_SIZE(random_nouns)]);
}
