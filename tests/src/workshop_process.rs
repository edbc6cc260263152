//! A workshop in a process of its own, which can be killed. Arguments: a home, a server, how to
//! misbehave there, with what, as JSON, and if wanted the point at which it dies and the word at
//! which it cancels its job. Says the job's id, and ends with the job.

use std::path::Path;

use tests::workshop::Workshop;
use windlass::effects::boundary::Points;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [home, server, how, what, rest @ ..] = arguments.as_slice() else {
        panic!("home, server, how and what are wanted");
    };
    let death = rest.first().map(|point| point.parse().unwrap());
    let points = Points { death, cancel: None };
    let mut workshop = Workshop::open_to_die(Path::new(home), points).await;
    let what = serde_json::from_str(what).unwrap();
    let job = workshop.submit_with(server, how, what).await;
    println!("{job}");
    if let Some(word) = rest.get(1) {
        workshop.says(&job, word).await;
        let now = jiff::Timestamp::now();
        workshop.store.request_cancel(&job, "test", now).await.unwrap();
    }
    workshop.finished(&job).await;
    // What follows the end is done by then, too.
    workshop.stop().await;
}
