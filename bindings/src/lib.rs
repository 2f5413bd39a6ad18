//! Python module `dolmen`.
