//! One post against a platform that does what it likes: whatever happens, it is there at most once, and never lost.

use std::collections::HashSet;

use chrono::TimeDelta;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{AccountId, PlanId, PostId, UploadId},
        platform::{PlatformError, Refusal, RefusalKind},
    },
    publishing::ports::{Figures, ListPage, Listed},
};

const SETTLE: TimeDelta = TimeDelta::seconds(300);
const PACE: TimeDelta = TimeDelta::seconds(300);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000 + seconds, 0).unwrap_or_default()
}

fn draft(caption: &str) -> PostDraft {
    PostDraft {
        upload: UploadId::from_uuid(Uuid::from_u128(1)),
        caption: caption.to_owned(),
        cover_at_ms: None,
        visibility: Visibility::Public,
    }
}

fn post() -> Post {
    let of = (PlanId::from_uuid(Uuid::from_u128(4)), AccountId::from_uuid(Uuid::from_u128(3)));
    Post::new(PostId::from_uuid(Uuid::from_u128(2)), of, draft("first light"), at(60), at(0))
}

fn refusal(kind: RefusalKind) -> PlatformError {
    PlatformError::Refused(Refusal { kind, code: 7 })
}

fn not_done() -> PlatformError {
    PlatformError::NotDone(PortError::passing("test", "busy"))
}

fn unknown() -> PlatformError {
    PlatformError::Unknown(PortError::passing("test", "cut"))
}

fn medium(id: &str) -> Medium {
    Medium { id: id.to_owned() }
}

/// One that waits to be asked for.
fn uploaded() -> Post {
    let mut post = post();
    post.submit().expect("a draft");
    post.approve(&post.digest(), at(0)).expect("the same");
    post.take_up(at(60)).expect("due");
    post.uploaded(medium("m")).expect("uploading");
    post
}

/// What reading finds: posts by name, text and time.
fn reading(post: &Post, begun: i64, found: &[(&str, &str, i64)]) -> Reading {
    let listed = |(item, caption, second): &(&str, &str, i64)| Listed {
        item: (*item).to_owned(),
        caption: (*caption).to_owned(),
        created_at: at(*second),
        is_top: false,
        standing: Standing::Pending,
        share_url: None,
        figures: Figures::default(),
    };
    let mut reading = Reading::begin(post, at(begun)).expect("asked for");
    let page = ListPage { posts: found.iter().map(listed).collect(), next: None };
    reading.take(&page, &HashSet::new());
    reading
}

#[test]
fn what_was_not_sent_can_be_changed_again_and_what_was_asked_for_cannot() {
    let mut begun = post();
    begun.submit().expect("a draft");
    begun.approve(&begun.digest(), at(0)).expect("the same");
    begun.take_up(at(60)).expect("due");
    assert!(!begun.allows(PostOp::Change));
    begun.put_back();
    begun.held("a day that is full".to_owned(), at(900), at(60)).expect("due");
    assert_eq!(
        (begun.state.clone(), begun.next_at()),
        (PostState::Waiting { due_at: at(60) }, Some(at(900)))
    );
    assert!(begun.allows(PostOp::Change));
    assert_eq!(begun.take_up(at(900)), Ok(Step::Upload));

    // The platform has the file: that is kept.
    let mut there = uploaded();
    there.put_back();
    assert_eq!(there.state, PostState::Uploaded { medium: medium("m") });
    let mut nobodys = there.clone();
    nobodys.unconfirmed().expect("not asked for");
    assert_eq!((nobodys.state.clone(), nobodys.promised_at), (PostState::AwaitingApproval, None));
    there.creation_begun(at(70)).expect("uploaded");
    assert_eq!(there.unconfirmed(), Err(PostFault::NotNow));
    there.created(1, Err(&not_done()), at(71)).expect("asked");
    assert_eq!(there.unconfirmed(), Err(PostFault::NotNow), "it may be there");
}

#[test]
fn from_a_draft_to_the_public() {
    let mut post = post();
    let digest = post.digest();
    assert_eq!(post.approve(&digest, at(0)), Err(PostFault::NotNow), "nobody was asked");
    post.submit().expect("a draft");
    assert_eq!(post.approve(&[0; 32], at(0)), Err(PostFault::Changed));
    post.approve(&digest, at(0)).expect("the same");
    assert_eq!((post.take_up(at(59)), post.next_at()), (Err(PostFault::NotNow), Some(at(60))), "not due");
    assert_eq!(post.take_up(at(60)), Ok(Step::Upload));
    let parts = PartMap { ticket: "t".to_owned(), begun_at: at(60), part_bytes: 20, there: [].into() };
    post.parts_begun(parts).expect("uploading");
    post.part_done("t", 2).expect("begun");
    assert_eq!(post.part_done("another", 3), Err(PostFault::NotNow));
    post.part_done("t", 1).expect("begun");
    // Whoever goes on finds the parts that are there, until the platform has forgotten them.
    let mut later = post.clone();
    post.take_up(at(6_000)).expect("under way");
    assert!(matches!(&post.state, PostState::Uploading { parts: Some(parts) } if parts.there.len() == 2));
    later.take_up(at(6_061)).expect("under way");
    assert_eq!(later.state, PostState::Uploading { parts: None });
    post.uploaded(medium("m")).expect("uploading");
    let (number, asked_with) = post.creation_begun(at(70)).expect("uploaded");
    assert_eq!((number, asked_with), (1, medium("m")));
    post.created(1, Ok("item".to_owned()), at(71)).expect("asked");
    assert_eq!((post.accepted_at, post.next_at()), (Some(at(71)), Some(at(81))));
    for (standing, status) in [
        (Standing::Pending, PostStatus::UnderReview),
        (Standing::Public, PostStatus::Live),
        (Standing::Pending, PostStatus::Live),
        (Standing::Refused, PostStatus::Rejected),
        (Standing::Public, PostStatus::Live),
    ] {
        let now = post.next_at().expect("looked at again");
        assert_eq!(post.take_up(now), Ok(Step::Look));
        post.looked(Some(standing), PACE, now).expect("there");
        assert_eq!((post.state.status(), post.fate()), (status, Fate::There));
    }
    // After a month nobody looks any more.
    let now = at(31 * 86_400);
    post.looked(Some(Standing::Public), PACE, now).expect("there");
    assert_eq!(post.next_at(), None);
}

#[test]
fn what_is_taken_away_is_gone_and_what_is_not_shown_yet_is_not() {
    let mut post = uploaded();
    post.creation_begun(at(70)).expect("uploaded");
    post.created(1, Ok("item".to_owned()), at(70)).expect("asked");
    let mut never = post.clone();
    post.looked(None, PACE, at(100)).expect("there");
    assert_eq!(post.state.status(), PostStatus::UnderReview, "lists lag");
    post.looked(Some(Standing::Public), PACE, at(200)).expect("there");
    for _ in 0..2 {
        post.looked(None, PACE, at(300)).expect("there");
        assert_eq!(post.state.status(), PostStatus::Live, "lists have gaps");
    }
    post.looked(None, PACE, at(300)).expect("there");
    assert_eq!((post.state.status(), post.fate()), (PostStatus::Gone, Fate::There));
    post.looked(Some(Standing::Public), PACE, at(400)).expect("there");
    assert_eq!(post.state.status(), PostStatus::Live, "it came back");
    for _ in 0..7 {
        never.looked(None, PACE, at(300)).expect("there");
    }
    assert_eq!(never.state.status(), PostStatus::Gone);
}

#[test]
fn while_the_outcome_is_unknown_nothing_is_done_but_to_find_out() {
    let mut post = uploaded();
    post.creation_begun(at(70)).expect("uploaded");
    assert_eq!(post.cancel(), Err(PostFault::OutcomeUnknown), "it is being asked for");
    post.created(1, Err(&unknown()), at(71)).expect("asked");
    assert!(post.holds_account());
    assert!(PostOp::ALL.iter().all(|op| !post.allows(*op) || *op == PostOp::Resolve));
    assert_eq!(post.cancel(), Err(PostFault::OutcomeUnknown));
    assert_eq!(post.retry(at(72)), Err(PostFault::OutcomeUnknown));
    assert_eq!(post.change(draft("b"), at(90)), Err(PostFault::OutcomeUnknown));
    assert_eq!(post.creation_begun(at(72)), Err(PostFault::NotNow));
    assert_eq!(post.created(1, Err(&not_done()), at(72)), Err(PostFault::NotNow), "a no comes too late");
    let mut late = post.clone();
    late.created(1, Ok("late".to_owned()), at(73)).expect("a yes does not");
    assert_eq!(late.state.item(), Some("late"));

    assert_eq!(post.resolve(Resolution::PostAgain, SETTLE, at(429)), Err(PostFault::TooSoon));
    let rewritten = [("i", "quite another text", 71)];
    let read = reading(&post, 80, &rewritten);
    assert_eq!(post.settle(read, SETTLE, at(80)), Ok(Settled::NotYet));
    assert!(post.holds_account());
    let read = reading(&post, 430, &rewritten);
    assert_eq!(post.settle(read, SETTLE, at(431)), Ok(Settled::Stuck));
    assert!(!post.holds_account(), "somebody may take long to look");
    assert_eq!(post.resolve(Resolution::Is("none".to_owned()), SETTLE, at(500)), Err(PostFault::NoCandidate));
    let mut given_up = post.clone();
    given_up.resolve(Resolution::GiveUp, SETTLE, at(500)).expect("long after");
    assert_eq!(given_up.state, PostState::Cancelled);
    post.resolve(Resolution::Is("i".to_owned()), SETTLE, at(500)).expect("it was found");
    assert_eq!(post.state.item(), Some("i"));
}

#[test]
fn who_takes_up_a_creation_that_was_begun_knows_nothing_of_it() {
    let mut post = uploaded();
    post.creation_begun(at(70)).expect("uploaded");
    assert_eq!(post.take_up(at(100)), Ok(Step::FindOut), "whoever was at it is gone");
    assert_eq!(post.state.status(), PostStatus::OutcomeUnknown);
    assert_eq!(post.not_asked(1), Err(PostFault::NotNow), "and has no say any more");
    let read = reading(&post, 430, &[]);
    assert_eq!(post.settle(read, SETTLE, at(430)), Ok(Settled::Absent));
    assert_eq!(post.creation_begun(at(440)).expect("uploaded").0, 2);
    // The first one's yes comes after all, and the second's.
    post.created(1, Ok("one".to_owned()), at(441)).expect("asked");
    assert_eq!((post.state.item(), post.duplicates().count()), (Some("one"), 0));
    post.created(2, Ok("two".to_owned()), at(442)).expect("asked");
    assert_eq!((post.state.item(), post.duplicates().collect::<Vec<_>>()), (Some("one"), vec!["two"]));
}

#[test]
fn each_answer_leads_where_it_should() {
    let ask = |error: &PlatformError| {
        let mut post = uploaded();
        post.creation_begun(at(70)).expect("uploaded");
        post.created(1, Err(error), at(70)).expect("asked");
        post
    };
    for (kind, again_at) in [
        (RefusalKind::TokenDead, Some(71)),
        (RefusalKind::QuotaUsedUp, Some(1_870)),
        (RefusalKind::PostsUsedUp, Some(1_870)),
        (RefusalKind::MediumRefused, Some(60)),
        (RefusalKind::ConsentGone, None),
        (RefusalKind::ContentRefused, None),
        (RefusalKind::PostingBarred, None),
        (RefusalKind::AppOff, None),
    ] {
        let post = ask(&refusal(kind));
        match again_at {
            Some(second) => {
                assert_eq!((post.fate(), post.next_at()), (Fate::Open, Some(at(second))), "{kind:?}");
            }
            None => assert_eq!(post.fate(), Fate::NotThere, "{kind:?}"),
        }
    }
    assert!(matches!(ask(&not_done()).state, PostState::Uploaded { .. }));
}

#[test]
fn a_refused_token_is_tried_once_more_with_the_next_and_seldom_then() {
    let mut post = uploaded();
    let dead = refusal(RefusalKind::TokenDead);
    // The same token, however often: it is being refreshed.
    for (now, again_at) in [(70, 71), (71, 75)] {
        post.hindered(&dead, at(now)).expect("uploaded");
        post.token_refused(at(9_000), at(now));
        assert_eq!(post.next_at(), Some(at(again_at)));
    }
    // The next is refused too, for days: it is tried every half hour, and never given up.
    for half_hour in 0..100 {
        let now = 75 + half_hour * 1_800;
        post.hindered(&dead, at(now)).expect("uploaded");
        post.token_refused(at(9_000 + now), at(now));
        assert_eq!((post.next_at(), post.fate()), (Some(at(now + 1_800)), Fate::Open));
    }
}

#[test]
fn a_quota_is_waited_for_until_it_opens() {
    let mut post = uploaded();
    post.hindered_until(at(5_000));
    assert_eq!(post.next_at(), Some(at(60)), "nothing hinders it");
    post.hindered(&refusal(RefusalKind::QuotaUsedUp), at(70)).expect("uploaded");
    post.hindered_until(at(5_000));
    assert_eq!(post.next_at(), Some(at(5_000)));
}

#[test]
fn what_stands_still_too_long_is_told() {
    let of = |post: &Post, seconds| post.overdue(at(seconds));
    let mut post = uploaded();
    let promised = post.promised_at.map_or(0, |promised| (promised - at(0)).num_seconds());
    assert_eq!(of(&post, promised + 900), None);
    assert_eq!(of(&post, promised + 901), Some(Overdue::ForPlatform));
    post.state = PostState::AwaitingApproval;
    let planned = (post.planned_at - at(0)).num_seconds();
    assert_eq!((of(&post, planned), of(&post, planned + 1)), (None, Some(Overdue::ForApproval)));
    post.state = PostState::UnderReview { item: "one".to_owned() };
    post.accepted_at = Some(at(100));
    assert_eq!(of(&post, 100 + 2 * 86_400), None);
    assert_eq!(of(&post, 101 + 2 * 86_400), Some(Overdue::InReview));
    post.state = PostState::Live { item: "one".to_owned() };
    assert_eq!(of(&post, 100 * 86_400), None);
}

#[test]
fn a_medium_that_is_refused_may_have_been_posted() {
    let refused = |before: bool| {
        let mut post = uploaded();
        if before {
            post.creation_begun(at(70)).expect("uploaded");
            post.created(1, Err(&not_done()), at(70)).expect("asked");
        }
        let (number, _) = post.creation_begun(at(71)).expect("uploaded");
        post.created(number, Err(&refusal(RefusalKind::MediumRefused)), at(71)).expect("asked");
        assert_eq!(post.state.status(), PostStatus::OutcomeUnknown);
        post
    };
    let mut post = refused(true);
    let read = reading(&post, 80, &[("i", "first light", 70)]);
    assert_eq!(post.settle(read, SETTLE, at(80)), Ok(Settled::Found));
    // Nothing is listed: the one that was asked with before says that it is there all the same.
    let mut post = refused(true);
    let read = reading(&post, 500, &[]);
    assert_eq!(post.settle(read, SETTLE, at(500)), Ok(Settled::Stuck));
    post.resolve(Resolution::Is("seen by eye".to_owned()), SETTLE, at(600)).expect("reading is blind");
    assert_eq!(post.state.item(), Some("seen by eye"));
    // The first time it is the file's fault, as far as lists tell.
    let mut post = refused(false);
    let read = reading(&post, 500, &[]);
    assert_eq!(post.settle(read, SETTLE, at(500)), Ok(Settled::Absent));
    assert_eq!(post.state, PostState::Uploading { parts: None });
}

#[test]
fn what_is_absent_is_asked_for_with_the_same_medium() {
    let mut post = uploaded();
    for number in 1..=7 {
        let now = at(i64::from(number) * 1_000);
        assert_eq!(post.creation_begun(now).expect("uploaded"), (number, medium("m")));
        post.take_up(now).expect("whoever was at it is gone");
        let read = reading(&post, i64::from(number) * 1_000 + 400, &[]);
        assert_eq!(post.settle(read, SETTLE, now), Ok(Settled::Absent));
        assert_eq!(post.state, PostState::Uploaded { medium: medium("m") });
    }
    post.creation_begun(at(8_000)).expect("uploaded");
    post.take_up(at(8_000)).expect("gone");
    let read = reading(&post, 8_400, &[]);
    assert_eq!(post.settle(read, SETTLE, at(8_400)), Ok(Settled::Absent));
    assert_eq!(post.state, PostState::Failed(PostFailure::TriesUsedUp), "eight times is enough");
}

#[test]
fn reading_that_is_refused_is_for_somebody_to_do() {
    let mut post = uploaded();
    post.creation_begun(at(70)).expect("uploaded");
    post.created(1, Err(&unknown()), at(71)).expect("asked");
    post.hindered(&refusal(RefusalKind::NotGranted), at(72)).expect("to be found out");
    assert_eq!(post.next_at(), Some(at(72 + 3_600)));
    assert_eq!(post.give_up_reading(SETTLE, at(400)), Err(PostFault::NotNow), "it may be granted yet");
    post.give_up_reading(SETTLE, at(430)).expect("late enough");
    assert!(!post.holds_account());
}

#[test]
fn a_lost_answer_to_completing_parts_begins_the_upload_anew() {
    let mut post = post();
    post.submit().expect("a draft");
    post.approve(&post.digest(), at(0)).expect("the same");
    post.take_up(at(60)).expect("due");
    assert_eq!(post.hindered(&refusal(RefusalKind::BadCall), at(60)), Ok(()));
    assert_eq!(post.fate(), Fate::NotThere, "a whole file's call is our mistake");
    post.retry(at(61)).expect("it failed");
    post.take_up(at(61)).expect("due");
    let parts = PartMap { ticket: "t".to_owned(), begun_at: at(61), part_bytes: 20, there: [1].into() };
    post.parts_begun(parts).expect("uploading");
    post.hindered(&refusal(RefusalKind::BadCall), at(62)).expect("uploading");
    assert_eq!((&post.state, post.fate()), (&PostState::Uploading { parts: None }, Fate::Open));
}

#[test]
fn what_is_not_done_is_tried_for_hours_and_quotas_are_waited_for() {
    let mut post = uploaded();
    let mut now = at(70);
    for pause in RETRIES_S {
        post.hindered(&not_done(), now).expect("uploaded");
        assert_eq!(post.next_at(), Some(now + TimeDelta::seconds(pause)));
        assert_eq!(post.take_up(now), Err(PostFault::NotNow));
        now += TimeDelta::seconds(pause);
        post.take_up(now).expect("the pause is over");
    }
    while post.fate() == Fate::Open {
        post.hindered(&not_done(), now).expect("uploaded");
        now = post.next_at().unwrap_or(now);
    }
    assert_eq!(post.state, PostState::Failed(PostFailure::TriesUsedUp));
    assert!(now - at(70) > TimeDelta::seconds(PATIENCE_S));
    post.retry(now).expect("it failed");
    post.take_up(now).expect("at once");
    for _ in 0..1_000 {
        now += TimeDelta::hours(1);
        post.hindered(&refusal(RefusalKind::QuotaUsedUp), now).expect("uploading");
        assert_eq!(post.fate(), Fate::Open);
    }
    post.hindered(&not_done(), now).expect("uploading");
    assert_eq!(post.fate(), Fate::Open, "waiting was no trying");
}

#[test]
fn what_was_ever_asked_for_is_read_before_it_is_tried_again() {
    let mut post = uploaded();
    post.creation_begun(at(70)).expect("uploaded");
    post.created(1, Err(&not_done()), at(70)).expect("asked");
    post.creation_begun(at(71)).expect("uploaded");
    post.created(2, Err(&refusal(RefusalKind::ContentRefused)), at(71)).expect("asked");
    post.retry(at(9_000)).expect("it failed");
    assert_eq!(post.take_up(at(9_000)), Ok(Step::FindOut));
    let read = reading(&post, 9_000, &[("by hand", "x", 8_000)]);
    assert_eq!(
        post.settle(read, SETTLE, at(9_000)),
        Ok(Settled::Absent),
        "what was made much later is not it"
    );
    assert_eq!(post.take_up(at(9_000)), Ok(Step::Create));
}

/// What happens next, to the post or to who works on it.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// So many seconds pass.
    Wait(u16),
    Submit,
    Approve,
    Change,
    Cancel,
    Retry,
    /// Somebody looks at the platform and says what is there.
    Resolve,
    /// A worker takes it up and uploads; the platform answers so.
    Upload(Answer),
    /// A worker asks for the creation. What the platform does it does `acts_after` seconds later, and its answer takes
    /// `answers_after` more; `is_killed`: nobody waits for it.
    Create {
        answer: Answer,
        acts_after: u8,
        answers_after: u16,
        is_killed: bool,
    },
    /// A worker, another perhaps while the first still waits, takes it up and reads the list; `is_killed` before it writes
    /// down what it read.
    Read {
        is_killed: bool,
    },
    /// The platform has looked at it.
    Look(Standing),
    /// Its owner, or the platform, takes away what was listed before.
    Remove,
    /// A worker takes it up, and finds the day used up.
    PutBack,
    /// A worker takes it up, and nobody agreed to it.
    Unconfirmed,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Good,
    /// The work is done or not, and no answer comes.
    Lost(bool),
    NotDone,
    /// The platform says that it did nothing, and did it.
    Lie,
    Refused(RefusalKind),
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Good),
        3 => any::<bool>().prop_map(Answer::Lost),
        2 => Just(Answer::NotDone),
        1 => Just(Answer::Lie),
        1 => prop_oneof![
            Just(RefusalKind::TokenDead),
            Just(RefusalKind::QuotaUsedUp),
            Just(RefusalKind::MediumRefused),
            Just(RefusalKind::ContentRefused),
        ]
        .prop_map(Answer::Refused),
    ]
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => (0_u16..40).prop_map(Happens::Wait),
        3 => (0_u16..2_000).prop_map(Happens::Wait),
        2 => Just(Happens::Submit),
        2 => Just(Happens::Approve),
        1 => Just(Happens::Change),
        1 => Just(Happens::Cancel),
        1 => Just(Happens::Retry),
        1 => Just(Happens::Resolve),
        4 => answer().prop_map(Happens::Upload),
        4 => (answer(), 0_u8..60, 0_u16..900, any::<bool>()).prop_map(
            |(answer, acts_after, answers_after, is_killed)| Happens::Create {
                answer, acts_after, answers_after, is_killed
            }
        ),
        3 => any::<bool>().prop_map(|is_killed| Happens::Read { is_killed }),
        1 => prop_oneof![Just(Standing::Public), Just(Standing::Refused), Just(Standing::Pending)]
            .prop_map(Happens::Look),
        1 => Just(Happens::Remove),
        1 => Just(Happens::PutBack),
        1 => Just(Happens::Unconfirmed),
    ]
}

/// Whether a step was taken is seen by what holds afterwards.
fn ignored<T>(_: Result<T, PostFault>) {}

/// A call that is under way.
struct Call {
    number: u32,
    medium: Medium,
    answer: Answer,
    acts_at: Timestamp,
    acted: bool,
    answers_at: Timestamp,
    /// Somebody waits for the answer.
    is_awaited: bool,
    item: Option<String>,
}

/// How this platform writes texts back, and how late lists show what is there.
#[derive(Clone, Copy, Debug)]
struct Habits {
    rewrites: bool,
    lag_s: i64,
}

/// A post and the truth about it.
struct World {
    habits: Habits,
    post: Post,
    now: Timestamp,
    calls: Vec<Call>,
    /// What is on the platform: name and when it was made.
    made: Vec<(String, Timestamp)>,
    used: Vec<Medium>,
    media: u32,
    lied: bool,
    /// Somebody posts by hand on the same account now and then.
    by_hand: Vec<Timestamp>,
    /// What is there was listed to us, and then taken away.
    was_listed: bool,
    is_removed: bool,
}

impl World {
    fn new(habits: Habits) -> Self {
        let (calls, made, used, by_hand) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            habits,
            post: post(),
            now: at(0),
            calls,
            made,
            used,
            media: 0,
            lied: false,
            by_hand,
            was_listed: false,
            is_removed: false,
        }
    }

    fn error(answer: Answer) -> PlatformError {
        match answer {
            Answer::Good | Answer::Lost(_) => unknown(),
            Answer::NotDone | Answer::Lie => not_done(),
            Answer::Refused(kind) => refusal(kind),
        }
    }

    /// Lets what is due on the platform and on the wire happen, in order, until `now`.
    fn settle_calls(&mut self) {
        let now = self.now;
        for call in &mut self.calls {
            if call.acts_at > now || call.acted {
                continue;
            }
            call.acted = true;
            if matches!(call.answer, Answer::Good | Answer::Lost(true) | Answer::Lie) {
                if self.used.contains(&call.medium) {
                    call.answer = Answer::Refused(RefusalKind::MediumRefused);
                    continue;
                }
                self.lied |= matches!(call.answer, Answer::Lie);
                self.used.push(call.medium.clone());
                let item = format!("item {}", call.number);
                self.made.push((item.clone(), call.acts_at));
                call.item = Some(item);
            }
        }
        let (answered, open) = std::mem::take(&mut self.calls)
            .into_iter()
            .partition(|call: &Call| call.acted && call.answers_at <= now);
        self.calls = open;
        let answered: Vec<Call> = answered;
        for call in answered.into_iter().filter(|call| call.is_awaited) {
            let error = Self::error(call.answer);
            let told = match (call.answer, call.item) {
                (Answer::Good, Some(item)) => Ok(item),
                _ => Err(&error),
            };
            ignored(self.post.created(call.number, told, now));
        }
    }

    fn listed(&self) -> ListPage {
        let listed = |item: &str, caption: &str, created_at| Listed {
            item: item.to_owned(),
            caption: caption.to_owned(),
            created_at,
            is_top: false,
            standing: Standing::Pending,
            share_url: None,
            figures: Figures::default(),
        };
        let lag = TimeDelta::seconds(self.habits.lag_s);
        let caption = if self.habits.rewrites { "rewritten" } else { "first light" };
        let mut posts: Vec<_> = self
            .made
            .iter()
            .filter(|(_, made_at)| *made_at + lag <= self.now && !self.is_removed)
            .map(|(item, made_at)| listed(item, caption, *made_at))
            .collect();
        posts.extend(self.by_hand.iter().map(|at| listed(&format!("by hand {at}"), "lunch", *at)));
        posts.sort_by_key(|listed| std::cmp::Reverse(listed.created_at));
        ListPage { posts, next: None }
    }

    fn ask(&mut self, answer: Answer, acts_after: u8, answers_after: u16, is_killed: bool) {
        let now = self.now;
        if self.post.take_up(now) != Ok(Step::Create) {
            return;
        }
        // Written down, and only then asked.
        let Ok((number, medium)) = self.post.creation_begun(now) else { return };
        let acts_at = now + TimeDelta::seconds(acts_after.into());
        self.calls.push(Call {
            number,
            medium,
            answer,
            acts_at,
            acted: false,
            answers_at: acts_at + TimeDelta::seconds(answers_after.into()),
            is_awaited: !is_killed,
            item: None,
        });
    }

    fn resolve(&mut self) {
        let resolution = match self.made.first() {
            Some((item, _)) => Resolution::Is(item.clone()),
            None => Resolution::PostAgain,
        };
        ignored(self.post.resolve(resolution, SETTLE, self.now));
    }

    /// Every step may be refused by the post; the platform acts only when it is asked.
    fn step(&mut self, happens: Happens) {
        self.settle_calls();
        let now = self.now;
        match happens {
            Happens::Wait(seconds) => {
                // What is due in between happens at its time.
                for _ in 0..seconds.min(120) {
                    self.now += TimeDelta::seconds(i64::from(seconds.div_ceil(120)));
                    self.settle_calls();
                }
                if seconds % 7 == 0 {
                    self.by_hand.push(self.now);
                }
            }
            Happens::Submit => ignored(self.post.submit()),
            Happens::Approve => {
                let digest = self.post.digest();
                ignored(self.post.approve(&digest, now));
            }
            Happens::Change => ignored(self.post.change(draft("first light"), self.post.planned_at)),
            Happens::Cancel => ignored(self.post.cancel()),
            Happens::Retry => ignored(self.post.retry(now)),
            Happens::Resolve => self.resolve(),
            Happens::PutBack => {
                if self.post.take_up(now) == Ok(Step::Upload) {
                    self.post.put_back();
                    ignored(self.post.held("a day".to_owned(), now + TimeDelta::seconds(600), now));
                }
            }
            Happens::Unconfirmed => {
                if matches!(self.post.take_up(now), Ok(Step::Upload | Step::Create)) {
                    ignored(self.post.unconfirmed());
                }
            }
            Happens::Upload(answer) => {
                if self.post.take_up(now) == Ok(Step::Upload) {
                    self.media += 1;
                    if matches!(answer, Answer::Good) {
                        ignored(self.post.uploaded(medium(&self.media.to_string())));
                    } else {
                        ignored(self.post.hindered(&Self::error(answer), now));
                    }
                }
            }
            Happens::Create { answer, acts_after, answers_after, is_killed } => {
                self.ask(answer, acts_after, answers_after, is_killed);
            }
            Happens::Read { is_killed } => {
                if self.post.take_up(now) != Ok(Step::FindOut) || is_killed {
                    return;
                }
                let Some(mut reading) = Reading::begin(&self.post, now) else { return };
                let listed = self.listed();
                self.was_listed |= listed.posts.iter().any(|listed| listed.item.starts_with("item"));
                reading.take(&listed, &HashSet::new());
                ignored(self.post.settle(reading, SETTLE, now));
            }
            // What was never seen and is taken away at once leaves no trace but its medium.
            Happens::Remove => self.is_removed |= self.was_listed,
            Happens::Look(standing) => {
                if self.post.take_up(now) == Ok(Step::Look) {
                    ignored(self.post.looked(Some(standing), PACE, now));
                }
            }
        }
        self.settle_calls();
    }

    fn holds(&self) {
        assert!(self.made.len() <= 1, "posted {} times: {:?}", self.made.len(), self.post);
        match self.post.fate() {
            Fate::There => assert_eq!(self.made.len(), 1, "shown as there: {:?}", self.post),
            // Only a platform that says that it did nothing, and did it, can make it be shown as not there.
            Fate::NotThere if !self.lied => {
                assert_eq!(self.made.len(), 0, "shown as not there: {:?}", self.post);
            }
            Fate::NotThere | Fate::Open => {}
        }
    }
}

fn habits() -> impl Strategy<Value = Habits> {
    (any::<bool>(), 0_i64..300).prop_map(|(rewrites, lag_s)| Habits { rewrites, lag_s })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_post_is_there_once_or_never_and_what_is_shown_is_true(
        habits in habits(),
        all in prop::collection::vec(happens(), 0..60),
    ) {
        let mut world = World::new(habits);
        for next in all {
            world.step(next);
            world.holds();
        }
        // Then all goes well: it comes to an end, and the end is the wish.
        for next in [Happens::Submit, Happens::Approve] {
            world.step(next);
        }
        for _ in 0..20 {
            for next in [
                Happens::Wait(4_000),
                Happens::Upload(Answer::Good),
                Happens::Create { answer: Answer::Good, acts_after: 0, answers_after: 0, is_killed: false },
                Happens::Read { is_killed: false },
                Happens::Resolve,
                Happens::Look(Standing::Public),
            ] {
                world.step(next);
                world.holds();
            }
        }
        prop_assert!(world.post.fate() != Fate::Open, "it has no end: {:?}", world.post);
        prop_assert_eq!(world.post.next_at().is_some(), world.post.state.status() == PostStatus::Live);
    }

    #[test]
    fn what_is_allowed_is_what_can_be_done(
        habits in habits(),
        all in prop::collection::vec(happens(), 0..40),
    ) {
        let mut world = World::new(habits);
        for next in all {
            world.step(next);
            for op in PostOp::ALL {
                let mut post = world.post.clone();
                let far = world.now + TimeDelta::days(1);
                let done = match op {
                    PostOp::Submit => post.submit(),
                    PostOp::Approve => { let digest = post.digest(); post.approve(&digest, at(0)) }
                    PostOp::Change => post.change(draft("b"), at(90)),
                    PostOp::Cancel => post.cancel(),
                    PostOp::Retry => post.retry(world.now),
                    PostOp::Resolve => post.resolve(Resolution::PostAgain, SETTLE, far),
                };
                prop_assert_eq!(done.is_ok(), world.post.allows(op), "{:?} of {:?}", op, world.post);
                if done.is_err() {
                    prop_assert_eq!(&post, &world.post, "what is refused changes nothing");
                }
            }
            let open = world.post.fate() == Fate::Open;
            let asked = matches!(world.post.state.status(), PostStatus::Draft | PostStatus::AwaitingApproval);
            prop_assert!(!open || asked || world.post.next_at().is_some(), "lost: {:?}", world.post);
        }
    }
}
