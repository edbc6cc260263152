//! Stacks through Portainer: on a real machine, and against a Portainer in trouble.

mod machine;
mod trouble;
