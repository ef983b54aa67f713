//! A daemon that is killed loses nothing that it has answered.
