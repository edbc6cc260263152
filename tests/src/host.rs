//! The program under test: the very same as `windlass`.

fn main() -> std::process::ExitCode {
    windlass::cli::run()
}
