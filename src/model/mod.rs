//! Nouns: the vocabulary every other room speaks. No behaviour beyond small pure helpers.
