mod hetzner;
#[test] fn a() {}
