//! nginx's signals, pid files and roll-backs, in the foreground.

use std::path::PathBuf;

use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::harness::server::Said;
use crate::harness::{Http, Server, gone, living, signal, until};

struct Nginx {
    server: Server,
    pid: PathBuf,
    oldbin: PathBuf,
}

impl Nginx {
    async fn start() -> Self {
        let server = Server::example("web")
            .option("nginx", "HOME/nginx.pid")
            .start()
            .await;
        let pid = server.home().join("nginx.pid");
        let oldbin = server.home().join("nginx.pid.oldbin");
        let this = Self {
            server,
            pid,
            oldbin,
        };
        let first = this.server.said(1).await;
        this.files(Some(first.pid), None).await;
        this
    }

    /// Waits until the two files name these.
    async fn files(&self, pid: Option<u32>, oldbin: Option<u32>) {
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).ok()?;
            text.trim().parse::<u32>().ok()
        };
        self.server
            .wait(&format!("pid files {pid:?} and {oldbin:?}"), || {
                (read(&self.pid) == pid && read(&self.oldbin) == oldbin).then_some(())
            })
            .await;
    }

    /// USR2: both generations live, the successor serves.
    async fn upgrade(&self) -> (Said, Said) {
        let before = self.server.said(1).await;
        signal(before.pid, Signal::USR2);
        let after = self.server.said(2).await;
        self.files(Some(after.pid), Some(before.pid)).await;
        assert_eq!(self.answers().await, 2);
        assert!(living(before.pid));
        (before, after)
    }

    /// The generation that answers a new connection.
    async fn answers(&self) -> u64 {
        let mut client = Http::connect(self.server.address()).await.unwrap();
        generation(&client.get("/").await.unwrap().body)
    }

    async fn answers_from(&self, generation: u64) {
        let mut last = 0;
        for _ in 0..200 {
            last = self.answers().await;
            if last == generation {
                return;
            }
        }
        panic!("generation {last} answers, not {generation}");
    }

    async fn said(&self, what: &str) {
        let file = self.server.home().join("said");
        self.server
            .wait(what, || {
                let said = std::fs::read_to_string(&file).unwrap_or_default();
                said.contains(what).then_some(())
            })
            .await;
    }
}

fn generation(body: &str) -> u64 {
    body.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn usr2_then_quit_to_the_old_one_is_an_upgrade() {
    let nginx = Nginx::start().await;
    let mut kept = Http::connect(nginx.server.address()).await.unwrap();
    assert_eq!(generation(&kept.get("/").await.unwrap().body), 1);
    let (before, after) = nginx.upgrade().await;
    // A second one is ignored on both sides while both live.
    signal(before.pid, Signal::USR2);
    nginx
        .server
        .logged(&["a signal is ignored", "a successor runs already"])
        .await;
    signal(after.pid, Signal::USR2);
    nginx
        .server
        .logged(&["a signal is ignored", "the predecessor still lives"])
        .await;
    assert_eq!(generation(&kept.get("/").await.unwrap().body), 2);

    // By the book WINCH comes before QUIT; here the old one sleeps already.
    signal(before.pid, Signal::WINCH);
    nginx.server.logged_times(3, &["a signal is ignored"]).await;
    assert_eq!(nginx.answers().await, 2);
    signal(before.pid, Signal::QUIT);
    gone(before.pid).await;
    nginx.files(Some(after.pid), None).await;
    assert_eq!(nginx.answers().await, 2);
    // Now it may start the next one.
    nginx.server.serves(after.pid).await;
    until("the end of the predecessor is known", || {
        signal(after.pid, Signal::USR2);
        nginx
            .server
            .all_said()
            .into_iter()
            .find(|said| said.generation == 3)
    })
    .await;
    assert_eq!(generation(&kept.get("/").await.unwrap().body), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn hup_to_the_old_one_and_quit_to_the_new_one_goes_back() {
    let nginx = Nginx::start().await;
    let (before, after) = nginx.upgrade().await;
    signal(before.pid, Signal::HUP);
    nginx.answers_from(1).await;
    signal(after.pid, Signal::QUIT);
    gone(after.pid).await;
    nginx.files(Some(before.pid), None).await;
    nginx.server.serves(before.pid).await;
    assert_eq!(nginx.answers().await, 1);
    // And it may try again.
    let mut kept = Http::connect(nginx.server.address()).await.unwrap();
    assert_eq!(generation(&kept.get("/").await.unwrap().body), 1);
    signal(before.pid, Signal::USR2);
    let again = nginx
        .server
        .wait("another successor", || {
            let mut said = nginx.server.all_said().into_iter();
            said.rfind(|said| said.generation == 2 && said.pid != after.pid)
        })
        .await;
    nginx.files(Some(again.pid), Some(before.pid)).await;
    assert_eq!(generation(&kept.get("/").await.unwrap().body), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn term_to_the_new_one_goes_back_by_itself() {
    let nginx = Nginx::start().await;
    let (before, after) = nginx.upgrade().await;
    signal(after.pid, Signal::TERM);
    gone(after.pid).await;
    nginx.files(Some(before.pid), None).await;
    assert_eq!(nginx.answers().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_binary_that_fails_changes_nothing() {
    let nginx = Nginx::start().await;
    let first = nginx.server.said(1).await;
    let request = baton_handover::control::UpgradeRequest {
        exec: Some("/bin/false".into()),
        ..Default::default()
    };
    nginx.server.upgrade_as(request).await.unwrap();
    nginx.files(Some(first.pid), None).await;
    assert_eq!(nginx.answers().await, 1);
    nginx.upgrade().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn winch_puts_to_sleep_and_hup_wakes() {
    // A terminal sends WINCH by itself, and then it is ignored.
    if std::fs::File::open("/dev/tty").is_ok() {
        eprintln!("skipped: there is a terminal");
        return;
    }
    let nginx = Nginx::start().await;
    let first = nginx.server.said(1).await;
    signal(first.pid, Signal::WINCH);
    // Its listener stays: whoever comes is connected and waits.
    let mut waits = loop {
        let stream = TcpStream::connect(nginx.server.address()).await.unwrap();
        drop(stream);
        let mut client = Http::connect(nginx.server.address()).await.unwrap();
        let asked = client.get("/");
        let soon = tokio::time::timeout(std::time::Duration::from_millis(200), asked).await;
        if soon.is_err() {
            break client;
        }
    };
    signal(first.pid, Signal::HUP);
    nginx.said("web: Reload").await;
    let answer = crate::harness::within("the answer", waits.answer())
        .await
        .unwrap();
    assert_eq!(generation(&answer.body), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_hears_of_hup_and_usr1() {
    let nginx = Nginx::start().await;
    let first = nginx.server.said(1).await;
    signal(first.pid, Signal::USR1);
    nginx.said("web: Reopen").await;
    signal(first.pid, Signal::HUP);
    nginx.said("web: Reload").await;
    signal(first.pid, Signal::QUIT);
    gone(first.pid).await;
    nginx.files(None, None).await;
}
