//! A workshop in a process of its own, which can be killed. Arguments: a home, a server, how to
//! misbehave there, and with what, as JSON. Says the job's id, and ends with the job.

use std::path::Path;

use tests::workshop::Workshop;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [home, server, how, what] = arguments.as_slice() else {
        panic!("home, server, how and what are wanted");
    };
    let workshop = Workshop::open_in(Path::new(home)).await;
    let what = serde_json::from_str(what).unwrap();
    let job = workshop.submit_with(server, how, what).await;
    println!("{job}");
    workshop.finished(&job).await;
}
