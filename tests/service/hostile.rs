//! Clients that are slow, broken or mean harm nobody.
