//! Every answer of the ingress.
