use std::sync::atomic::{AtomicI64, Ordering};

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

/// The API server's side of the story: one lease, versions, conflicts.
#[derive(Default)]
struct Server {
    lease: Option<Lease>,
    version: u64,
}

impl Server {
    fn write(&mut self, next: Next) -> Result<Lease, Failure> {
        let known = self.lease.as_ref().map(version);
        let mut lease = match next {
            Next::Create(lease) if known.is_none() => lease,
            Next::Create(_) => return Err(Failure::Conflict),
            Next::Replace(lease) => match known {
                None => return Err(Failure::NotFound),
                Some(known) if known == version(&lease) => lease,
                Some(_) => return Err(Failure::Conflict),
            },
            other => panic!("{other:?} is no write"),
        };
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(*lease.clone());
        Ok(*lease)
    }
}

fn version(lease: &Lease) -> String {
    lease.metadata.resource_version.clone().unwrap_or_default()
}

/// A wall clock that moves each time it is read, as a real one does.
fn wall() -> Timestamp {
    static TICKS: AtomicI64 = AtomicI64::new(0);
    Timestamp::UNIX_EPOCH + SignedDuration::from_micros(TICKS.fetch_add(1, Ordering::Relaxed))
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

struct Candidate(Election);

impl Candidate {
    fn new(me: &str, now: Instant) -> Self {
        Self(Election::new("probepilot", me, Timing::default(), now))
    }

    fn leads(&self, now: Instant) -> bool {
        self.0.held_until(now).is_some()
    }

    /// Does what is due at `now`; nothing takes time.
    fn act(&mut self, now: Instant, server: &mut Server) {
        for _ in 0..10 {
            match self.0.next(now, wall()) {
                Next::Wait(_) => return,
                Next::Read => self.0.read(now, server.lease.clone(), 0.5),
                write => match server.write(write) {
                    Ok(lease) => self.0.won(now, now, lease, 0.5),
                    Err(failure) => self.0.failed(now, now, failure, 0.5),
                },
            }
        }
        panic!("never waits");
    }

    /// As [`Self::act`], each tenth of a second for so long.
    fn act_for(&mut self, now: &mut Instant, time: Duration, server: &mut Server) {
        let end = *now + time;
        while *now < end {
            self.act(*now, server);
            *now += Duration::from_millis(100);
        }
    }
}

#[test]
fn the_first_candidate_creates_the_lease_and_leads_at_once() {
    let now = Instant::now();
    let (mut server, mut one) = (Server::default(), Candidate::new("one", now));
    one.act(now, &mut server);
    assert!(one.leads(now));
    let spec = server.lease.unwrap().spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("one"));
    assert_eq!(spec.lease_duration_seconds, Some(7));
    assert_eq!(spec.lease_transitions, Some(0));
}

#[test]
fn a_leader_that_renews_keeps_the_lease_for_ever() {
    let mut now = Instant::now();
    let mut server = Server::default();
    let (mut one, mut two) = (Candidate::new("one", now), Candidate::new("two", now));
    one.act(now, &mut server);
    for _ in 0..600 {
        now += Duration::from_millis(500);
        one.act(now, &mut server);
        two.act(now, &mut server);
        assert!(one.leads(now) && !two.leads(now));
    }
    assert_eq!(two.0.holder(), Some("one"));
}

#[test]
fn a_leader_that_vanishes_is_followed_within_ten_seconds() {
    for step_millis in [0, 300, 700, 1100, 1500, 1900] {
        let mut now = Instant::now();
        let mut server = Server::default();
        let (mut one, mut two) = (Candidate::new("one", now), Candidate::new("two", now));
        one.act(now, &mut server);
        // Out of step with each other.
        two.act_for(&mut now, Duration::from_millis(step_millis), &mut server);
        one.act_for(&mut now, seconds(2.0), &mut server);
        let vanished = now;
        while !two.leads(now) {
            assert!(
                now - vanished < seconds(9.0),
                "out of step by {step_millis} ms"
            );
            two.act(now, &mut server);
            now += Duration::from_millis(100);
        }
        assert!(!one.leads(now));
        let spec = server.lease.unwrap().spec.unwrap();
        assert_eq!(spec.lease_transitions, Some(1));
    }
}

#[test]
fn a_released_lease_is_taken_at_the_next_look() {
    let mut now = Instant::now();
    let mut server = Server::default();
    let (mut one, mut two) = (Candidate::new("one", now), Candidate::new("two", now));
    one.act(now, &mut server);
    two.act(now, &mut server);
    let released = one.0.release(wall()).unwrap();
    server.write(Next::Replace(released)).unwrap();
    assert!(!one.leads(now));
    let start = now;
    two.act_for(&mut now, seconds(1.2), &mut server);
    assert!(two.leads(now), "after {:?}", now - start);
    assert!(one.0.release(wall()).is_none(), "nothing is released twice");
}

#[test]
fn a_leader_that_cannot_renew_stops_before_anybody_else_may_start() {
    let mut now = Instant::now();
    let mut server = Server::default();
    let mut one = Candidate::new("one", now);
    one.act(now, &mut server);
    let last_renewal = now;
    while one.leads(now) {
        if !matches!(one.0.next(now, wall()), Next::Wait(_)) {
            one.0.failed(now, now, Failure::Refused, 0.0);
        }
        now += Duration::from_millis(10);
    }
    let timing = Timing::default();
    assert!(now - last_renewal <= timing.stop + Duration::from_millis(10));
    assert!(timing.stop + seconds(2.0) <= timing.lease);
}

#[test]
fn an_edit_by_somebody_else_costs_a_read_and_not_the_leadership() {
    let mut now = Instant::now();
    let mut server = Server::default();
    let mut one = Candidate::new("one", now);
    one.act(now, &mut server);
    let mut edited = server.lease.clone().unwrap();
    edited.metadata.labels = Some([("team".to_owned(), "x".to_owned())].into());
    server.write(Next::Replace(Box::new(edited))).unwrap();
    one.act_for(&mut now, seconds(6.0), &mut server);
    assert!(one.leads(now));
    let lease = server.lease.unwrap();
    assert!(lease.metadata.labels.is_some(), "what others wrote stays");
    assert_eq!(lease.spec.unwrap().lease_transitions, Some(0));
}

#[test]
fn edits_by_others_do_not_keep_a_dead_leader_alive() {
    let mut now = Instant::now();
    let mut server = Server::default();
    let (mut one, mut two) = (Candidate::new("one", now), Candidate::new("two", now));
    one.act(now, &mut server);
    two.act(now, &mut server);
    for _ in 0..9 {
        let lease = Box::new(server.lease.clone().unwrap());
        server.write(Next::Replace(lease)).unwrap();
        two.act_for(&mut now, seconds(1.0), &mut server);
    }
    assert!(two.leads(now));
}

#[test]
fn a_deposed_leader_knows_at_its_next_renewal() {
    let now = Instant::now();
    let mut server = Server::default();
    let mut one = Candidate::new("one", now);
    one.act(now, &mut server);
    let mut taken = server.lease.clone().unwrap();
    taken.spec.get_or_insert_default().holder_identity = Some("two".to_owned());
    server.write(Next::Replace(Box::new(taken))).unwrap();
    let later = now + seconds(2.0);
    assert!(one.leads(later));
    one.act(later, &mut server);
    assert!(!one.leads(later));
}

#[test]
fn a_deleted_lease_deposes_the_leader_and_binds_a_standby_until_it_would_have_expired() {
    let mut now = Instant::now();
    let mut server = Server::default();
    let (mut one, mut two) = (Candidate::new("one", now), Candidate::new("two", now));
    one.act(now, &mut server);
    two.act(now, &mut server);
    server.lease = None;
    let deleted = now;
    while now - deleted < seconds(12.0) {
        one.act(now, &mut server);
        two.act(now, &mut server);
        assert!(!(one.leads(now) && two.leads(now)));
        now += Duration::from_millis(100);
    }
    assert!(one.leads(now) || two.leads(now));
}

#[test]
fn a_claim_whose_answer_was_lost_is_recognised() {
    let mut now = Instant::now();
    let mut server = Server::default();
    let mut one = Candidate::new("one", now);
    one.0.read(now, None, 0.0);
    let claim = one.0.next(now, wall());
    server.write(claim).unwrap();
    one.0.failed(now, now, Failure::Deadline, 0.0);
    assert!(!one.leads(now), "not sure is not leading");
    one.act_for(&mut now, seconds(1.2), &mut server);
    assert!(one.leads(now));
}

#[derive(Clone, Debug)]
enum Fault {
    None,
    RequestLost,
    /// The author gives up, and the request arrives after the next candidate's turn.
    RequestLate,
    AnswerLost,
    Frozen,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::RequestLost),
        1 => Just(Fault::RequestLate),
        1 => Just(Fault::AnswerLost),
        2 => Just(Fault::Frozen),
    ]
}

struct World {
    now: Instant,
    server: Server,
    all: [Candidate; 3],
    late: Vec<Next>,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            now,
            server: Server::default(),
            all: ["one", "two", "three"].map(|me| Candidate::new(me, now)),
            late: Vec::new(),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let now = self.now;
        let leaders = self.all.iter().filter(|one| one.leads(now)).count();
        assert!(leaders <= 1, "{leaders} leaders");
    }

    /// One candidate's turn: its request travels for so long, there and back.
    fn turn(&mut self, index: usize, fault: &Fault, travel: Duration) {
        let sent = self.now;
        let next = self.all[index].0.next(sent, wall());
        if matches!(fault, Fault::Frozen) || matches!(next, Next::Wait(_)) {
            return;
        }
        let reads = next == Next::Read;
        let answer = match fault {
            Fault::RequestLost => Err(Failure::Deadline),
            Fault::RequestLate => {
                self.late.extend(Some(next).filter(|_| !reads));
                Err(Failure::Deadline)
            }
            _ if reads => Ok(self.server.lease.clone()),
            _ => self.server.write(next).map(Some),
        };
        // Others see a write before its author hears of it.
        self.pass(travel / 2);
        self.all[(index + 1) % 3].act(self.now, &mut self.server);
        self.pass(travel / 2);
        let (now, author) = (self.now, &mut self.all[index].0);
        match answer {
            _ if matches!(fault, Fault::AnswerLost) => {
                author.failed(sent, now, Failure::Deadline, 0.3);
            }
            Err(failure) => author.failed(sent, now, failure, 0.3),
            Ok(lease) if reads => author.read(now, lease, 0.3),
            Ok(lease) => author.won(sent, now, lease.unwrap(), 0.3),
        }
        self.pass(Duration::ZERO);
    }
}

proptest! {
    /// Whatever is lost, late or frozen: no moment has two leaders.
    #[test]
    fn there_are_never_two_leaders(
        turns in prop::collection::vec((0_usize..3, fault(), 0_u64..1500, 0_u64..2000), 1..400),
    ) {
        let mut world = World::new();
        for (index, fault, pause, travel) in turns {
            world.pass(Duration::from_millis(pause));
            let late = std::mem::take(&mut world.late);
            world.turn(index, &fault, Duration::from_millis(travel));
            for write in late {
                let _ = world.server.write(write);
            }
        }
    }
}
