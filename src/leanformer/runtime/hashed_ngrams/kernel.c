/* Hashed n-grams and their int8 linear model; the package's docstring has the definitions.

   Plain C without Python: a caller passes joined UTF-8 bytes and the offset of each text, and gets
   integers. Every call allocates its own scratch, so that any number of threads may call at a time.
   `reference.py` computes the same integers with numpy, and tests compare the two. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1
#define LIMIT 32768 /* distinct n-grams that are read of a text: sums stay below 2^31 */
#define ROW_BITS 22
#define MOST_COUNT 4095
#define PRIME 0x9E3779B97F4A7C15u
#define PAIR 0xC2B2AE3D27D4EB4Fu
#define WORD 0x165667B19E3779F9u
#define BIGRAM 0x27D4EB2F165667C5u
#define CHARACTERS 0x85EBCA77C2B2AE63u
#define SECOND 0xD6E8FEB86659FD93u
#define SHARED 0xA0761D6478BD642Fu

/* Wider vectors where the CPU has them, chosen when the library is loaded. */
#if defined(LEANFORMER_CLONES)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif
#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)0)
#endif

typedef struct {
    uint64_t id;
    uint32_t stamp; /* the text that filled it: older ones count as empty */
    uint32_t place;
} Slot;

typedef struct {
    Slot *slots;
    uint64_t *ids; /* distinct n-grams in the order in which they first occur */
    uint32_t *counts;
    uint32_t *points; /* code points, a space on either side */
    uint32_t stamp, mask, found;
} Scratch;

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* The key of an n-gram in another part of a pair; the lowest bit still tells words. */
static uint64_t marked(uint64_t id, uint64_t part) {
    return (mix(id ^ part) & ~1ull) | (id & 1);
}

static size_t most_ngrams(size_t bytes) { /* of a text, or LIMIT */
    size_t most = 5 * bytes + 8;
    return most < LIMIT ? most : LIMIT;
}

static uint32_t slots_for(size_t bytes) {
    uint32_t size = 64;
    while (size < 2 * most_ngrams(bytes)) size *= 2;
    return size;
}

static int allocate(Scratch *s, size_t longest) {
    size_t most = most_ngrams(longest);
    s->slots = calloc(slots_for(longest), sizeof(Slot));
    s->ids = malloc(most * sizeof(uint64_t));
    s->counts = malloc(most * sizeof(uint32_t));
    s->points = malloc((longest + 2) * sizeof(uint32_t));
    s->stamp = 0;
    return s->slots && s->ids && s->counts && s->points;
}

static void release(Scratch *s) {
    free(s->slots), free(s->ids), free(s->counts), free(s->points);
}

static Slot *slot_of(const Scratch *s, uint64_t id) {
    uint32_t at = (uint32_t)(id >> 8) & s->mask;
    while (s->slots[at].stamp == s->stamp && s->slots[at].id != id) at = (at + 1) & s->mask;
    return s->slots + at;
}

static void count(Scratch *s, uint64_t id) {
    Slot *slot = slot_of(s, id);
    if (slot->stamp == s->stamp) {
        s->counts[slot->place]++;
    } else if (s->found < LIMIT) {
        slot->id = id, slot->stamp = s->stamp, slot->place = s->found;
        s->ids[s->found] = id, s->counts[s->found++] = 1;
    }
}

/* The code points of valid UTF-8 (surrogates pass too), every kind of space as a plain one. */
static size_t decode(const uint8_t *text, size_t bytes, const uint8_t *classes, uint32_t *points) {
    size_t n = 0;
    points[n++] = ' ';
    for (size_t i = 0; i < bytes;) {
        uint32_t c = text[i];
        int more = c < 0x80 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
        if (more) c &= 0x3F >> more;
        for (i++; more && i < bytes; more--) c = c << 6 | (text[i++] & 0x3F);
        points[n++] = c < 0x10000 && classes[c] == 2 ? ' ' : c;
    }
    points[n++] = ' ';
    return n;
}

/* All n-grams of a text: words and pairs of words, then 3 to 5 characters of padded words. */
static void read_text(Scratch *s, const uint8_t *text, size_t bytes, const uint8_t *classes) {
    const uint32_t *c = s->points;
    size_t n = decode(text, bytes, classes, s->points);
    uint64_t word = 0, before = 0;
    int inside = 0, follows = 0;
    s->stamp++, s->found = 0, s->mask = slots_for(bytes) - 1;
    for (size_t i = 0; i < n; i++) {
        if (c[i] >= 0x10000 || classes[c[i]] == 1) {
            word = inside ? word * PRIME + c[i] : c[i];
            inside = 1;
        } else if (inside) {
            count(s, mix(word + WORD) & ~1ull);
            if (follows) count(s, mix(before * PAIR + word + BIGRAM) & ~1ull);
            before = word, follows = 1, inside = 0;
        }
    }
    for (size_t i = 0; i + 2 < n; i++) {
        if (c[i + 1] == ' ') continue;
        uint64_t h = ((uint64_t)c[i] * PRIME + c[i + 1]) * PRIME + c[i + 2];
        count(s, mix(h + 3 * CHARACTERS) | 1);
        for (size_t k = 3; k < 5 && i + k < n && c[i + k - 1] != ' '; k++) {
            h = h * PRIME + c[i + k];
            count(s, mix(h + (k + 1) * CHARACTERS) | 1);
        }
    }
}

static uint32_t clipped(uint32_t n) { return n < MOST_COUNT ? n : MOST_COUNT; }

/* Keys and counts of a text or a pair into `keys` and `counts`; how many there are. */
static size_t features(Scratch both[2], const uint8_t *const texts[2], const int64_t *const at[2],
                       int64_t i, int shares, const uint8_t *classes, uint64_t *keys,
                       uint32_t *counts, int32_t *levels) {
    Scratch *a = both, *b = both + 1;
    size_t n = 0;
    read_text(a, texts[0] + at[0][i], (size_t)(at[0][i + 1] - at[0][i]), classes);
    for (uint32_t k = 0; k < a->found; k++) keys[n] = a->ids[k], counts[n++] = clipped(a->counts[k]);
    if (!at[1]) return n;
    int64_t of[2] = {0, 0}, common[2] = {0, 0}; /* of words, of characters */
    read_text(b, texts[1] + at[1][i], (size_t)(at[1][i + 1] - at[1][i]), classes);
    for (uint32_t k = 0; k < b->found; k++)
        keys[n] = marked(b->ids[k], SECOND), counts[n++] = clipped(b->counts[k]);
    if (!shares) return n;
    for (uint32_t k = 0; k < a->found; k++) of[a->ids[k] & 1]++;
    for (uint32_t k = 0; k < b->found; k++) {
        uint64_t id = b->ids[k];
        of[id & 1]++;
        if (slot_of(a, id)->stamp != a->stamp) continue;
        common[id & 1]++;
        keys[n] = marked(id, SHARED), counts[n++] = 1;
    }
    for (int k = 0; k < 2; k++) {
        int64_t either = of[k] - common[k];
        levels[2 * i + k] = either ? (int32_t)(16 * common[k] / either) : 0;
    }
    return n;
}

CLONES static void add_row(int32_t *restrict sums, const int8_t *restrict row, int16_t times,
                           int64_t width) {
    for (int64_t c = 0; c < width; c++) sums[c] += (int16_t)(times * row[c]);
}

/* Buffers of one call. 0 where there was no memory. */
typedef struct {
    Scratch both[2];
    uint64_t *keys;
    uint32_t *counts;
} Call;

static int begin(Call *call, const int64_t *const at[2], int64_t texts) {
    size_t longest[2] = {0, 0};
    memset(call, 0, sizeof(Call));
    for (int k = 0; k < 2 && at[k]; k++)
        for (int64_t i = 0; i < texts; i++) {
            size_t bytes = (size_t)(at[k][i + 1] - at[k][i]);
            if (bytes > longest[k]) longest[k] = bytes;
        }
    size_t most = 2 * (most_ngrams(longest[0]) + most_ngrams(longest[1]));
    call->keys = malloc(most * sizeof(uint64_t));
    call->counts = malloc(most * sizeof(uint32_t));
    return call->keys && call->counts && allocate(call->both, longest[0]) &&
           allocate(call->both + 1, longest[1]);
}

static void end(Call *call) {
    release(call->both), release(call->both + 1), free(call->keys), free(call->counts);
}

int leanformer_ngrams_version(void) { return VERSION; }

/* Keys and counts of all texts, one after the other; `ends` says where those of each text end.
   Returns how many there are, -1 where they are more than `room`, -2 where there is no memory. */
int64_t leanformer_ngrams_count(const uint8_t *first, const int64_t *first_at,
                                const uint8_t *second, const int64_t *second_at, int64_t texts,
                                int32_t shares, const uint8_t *classes, int64_t room,
                                uint64_t *keys, uint16_t *counts, int64_t *ends, int32_t *levels) {
    const uint8_t *const read[2] = {first, second};
    const int64_t *const at[2] = {first_at, second_at};
    Call call;
    int64_t total = begin(&call, at, texts) ? 0 : -2;
    for (int64_t i = 0; i < texts && total >= 0; i++) {
        size_t n = features(call.both, read, at, i, shares, classes, call.keys, call.counts, levels);
        if (total + (int64_t)n > room) {
            total = -1;
            break;
        }
        for (size_t k = 0; k < n; k++, total++)
            keys[total] = call.keys[k], counts[total] = (uint16_t)call.counts[k];
        ends[i] = total;
    }
    end(&call);
    return total;
}

/* Sums [texts, width] of the weights of each text's n-grams and its squared norm; both begin as 0.
   Returns 0, or -2 where there is no memory. */
int64_t leanformer_ngrams_score(const uint8_t *first, const int64_t *first_at,
                                const uint8_t *second, const int64_t *second_at, int64_t texts,
                                int32_t shares, const uint8_t *classes, int32_t bits,
                                const uint32_t *entries, const int8_t *rows, int64_t width,
                                const int16_t *tf, int32_t *sums, int64_t *norms, int32_t *levels) {
    const uint8_t *const read[2] = {first, second};
    const int64_t *const at[2] = {first_at, second_at};
    const uint32_t row_mask = (1u << ROW_BITS) - 1;
    Call call;
    int64_t result = begin(&call, at, texts) ? 0 : -2;
    for (int64_t i = 0; i < texts && !result; i++) {
        size_t n = features(call.both, read, at, i, shares, classes, call.keys, call.counts, levels);
        size_t known = 0;
        int64_t norm = 0;
        for (size_t k = 0; k < n; k++) {
            uint32_t entry = entries[call.keys[k] >> (64 - bits)];
            if (!entry) continue;
            int64_t times = tf[call.counts[k]], row = entry & row_mask;
            norm += times * times * (entry >> ROW_BITS) * (entry >> ROW_BITS);
            PREFETCH(rows + row * width);
            call.keys[known] = (uint64_t)row, call.counts[known++] = (uint32_t)times;
        }
        for (size_t k = 0; k < known; k++)
            add_row(sums + i * width, rows + (int64_t)call.keys[k] * width, (int16_t)call.counts[k],
                    width);
        norms[i] = norm;
    }
    end(&call);
    return result;
}
