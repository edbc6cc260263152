//! The whole way of a server: made through a plugin, killed in the middle, used, deleted. Once on
//! the sandbox, once on a real machine behind a fake Hetzner.
