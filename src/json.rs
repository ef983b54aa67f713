//! JSON as bytes: is it well-formed, what stands at a pointer, and the same text on one line.
