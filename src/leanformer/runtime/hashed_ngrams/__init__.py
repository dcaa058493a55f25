"""Hashed n-grams of words and characters with int8 weights: features and their kernel.

A text is lower-cased (`str.lower`) and read as Unicode code points c. Its n-grams are

    words        every run of word characters, and every two runs that follow each other
    characters   3 to 5 code points of every stretch between spaces, padded by one space
                 on either side: scikit-learn's analyzer "char_wb"

Each n-gram g has a 64-bit key; buckets are its highest B bits; arithmetic is modulo 2^64:

    h(g) = Σ_j c_j P^(n-1-j)        key(g) = mix(h(g) + seed of its kind)
    h(g1 g2) = Q h(g1) + h(g2)      mix: the finalizer of SplitMix64
    row, u = table[key >> 64 - B]   u = idf, an integer from 1 to 1023; 0 = never seen in training

The lowest bit of a key tells characters (1) from words (0). With n_g occurrences in a text,

    t_g = round(16 (1 + ln n_g))                  sublinear term frequency
    sums_C = Σ_g t_g W[row_g]_C                   int8 W, which holds idf too; int32 sums
    norm²  = Σ_g (t_g u_g)²                       int64
    logits = sums · scale / norm + b              float64, in one vectorized step

Everything before the last line is integers, so that the kernel in C (`kernel.c`) and numpy
(`reference.py`) give the same numbers, whatever stands in a batch and on any number of threads.

A pair of texts has the n-grams of the first, those of the second (their keys mixed once more with a
constant) and, once each, those that both have (mixed with another). The share of n-grams in common,
words and characters apart, chooses one of 17 offsets each:

    b + L[0, level of words] + L[1, level of characters]    level = floor(16 |A and B| / |A or B|)

Where words are tagged, each word is a first text and its neighbors are a second one (`reading.py`).

Of a text the first 32,768 distinct n-grams are read, so that sums stay below 2^31; counts stop at
4,095. Word characters are fixed by a table of their own (`classes.py`), since Python's changes with
its version.

Legend: C class, B bits of a bucket, P and Q odd constants.
"""
