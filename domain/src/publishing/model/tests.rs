//! One post against a platform that does what it likes: whatever happens, it is there at most once, and never lost.

use chrono::TimeDelta;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::kernel::{
    clock::Timestamp,
    fault::PortError,
    ids::{AccountId, PostId, UploadId},
    platform::{PlatformError, Refusal, RefusalKind},
};

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
    let account = AccountId::from_uuid(Uuid::from_u128(3));
    Post::new(PostId::from_uuid(Uuid::from_u128(2)), account, draft("a"), at(60))
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

/// One that waits to be asked for.
fn uploaded() -> Post {
    let mut post = post();
    post.submit().expect("a draft");
    post.approve(&draft("a")).expect("the same");
    post.take_up(at(60)).expect("due");
    post.uploaded(Medium { id: "m".to_owned() }).expect("uploading");
    post
}

#[test]
fn from_a_draft_to_the_public() {
    let mut post = post();
    assert_eq!(post.approve(&draft("a")), Err(PostFault::NotNow), "nobody was asked");
    post.submit().expect("a draft");
    assert_eq!(post.approve(&draft("b")), Err(PostFault::Changed));
    post.approve(&draft("a")).expect("the same");
    assert_eq!(post.take_up(at(59)), Err(PostFault::NotNow), "not due");
    post.take_up(at(60)).expect("due");
    let parts = PartMap { ticket: "t".to_owned(), begun_at: at(60), part_bytes: 20, there: [].into() };
    post.parts_begun(parts).expect("uploading");
    post.part_done(2).expect("begun");
    post.part_done(1).expect("begun");
    // Whoever goes on finds the parts that are there, until the platform has forgotten them.
    let mut later = post.clone();
    post.take_up(at(6_000)).expect("under way");
    assert!(matches!(&post.state, PostState::Uploading { parts: Some(parts) } if parts.there.len() == 2));
    later.take_up(at(6_061)).expect("under way");
    assert_eq!(later.state, PostState::Uploading { parts: None });
    post.uploaded(Medium { id: "m".to_owned() }).expect("uploading");
    let medium = post.creation_begun(at(70)).expect("uploaded");
    post.created(medium, Ok("item".to_owned()), at(71)).expect("asked");
    let found = |standing| Found { item: "item".to_owned(), created_at: at(71), standing };
    for (standing, fate) in [
        (Standing::Pending, PostState::UnderReview { item: "item".to_owned() }),
        (Standing::Public, PostState::Live { item: "item".to_owned() }),
        (Standing::Pending, PostState::Live { item: "item".to_owned() }),
        (Standing::Refused, PostState::Rejected { item: "item".to_owned() }),
    ] {
        post.reviewed(&found(standing)).expect("there");
        assert_eq!((&post.state, post.fate()), (&fate, Fate::There));
    }
    let another = Found { item: "other".to_owned(), ..found(Standing::Public) };
    assert_eq!(post.reviewed(&another), Err(PostFault::NotNow));
}

#[test]
fn while_the_outcome_is_unknown_nothing_is_done_but_to_find_out() {
    let mut post = uploaded();
    let medium = post.creation_begun(at(70)).expect("uploaded");
    assert_eq!(post.cancel(), Err(PostFault::OutcomeUnknown), "it is being asked for");
    post.created(medium.clone(), Err(&unknown()), at(71)).expect("asked");
    assert!(PostOp::ALL.iter().all(|op| !post.allows(*op)));
    assert_eq!(post.cancel(), Err(PostFault::OutcomeUnknown));
    assert_eq!(post.retry(at(72)), Err(PostFault::OutcomeUnknown));
    assert_eq!(post.edit(draft("b")), Err(PostFault::OutcomeUnknown));
    assert_eq!(post.creation_begun(at(72)), Err(PostFault::NotNow));
    assert_eq!(post.created(medium, Ok("late".to_owned()), at(73)), Err(PostFault::NotNow));
    assert_eq!(post.settle(Evidence::None, at(70 + SETTLE_S - 1)), Err(PostFault::TooSoon));
    post.settle(Evidence::Several(2), at(80)).expect("to be looked at");
    assert!(matches!(post.state, PostState::OutcomeUnknown { candidates: 2, .. }));
    let mut done = post.clone();
    let found = Found { item: "i".to_owned(), created_at: at(71), standing: Standing::Public };
    done.settle(Evidence::One(found), at(90)).expect("found");
    assert_eq!(done.state, PostState::Live { item: "i".to_owned() });
    post.settle(Evidence::None, at(70 + SETTLE_S)).expect("time enough");
    assert_eq!(post.state, PostState::Uploading { parts: None });
}

#[test]
fn who_takes_up_a_creation_that_was_begun_knows_nothing_of_it() {
    let mut post = uploaded();
    post.creation_begun(at(70)).expect("uploaded");
    post.take_up(at(100)).expect("whoever was at it is gone");
    assert_eq!(post.state, PostState::OutcomeUnknown { asked_at: at(70), candidates: 0 });
}

#[test]
fn each_answer_leads_where_it_should() {
    let ask = |error: &PlatformError| {
        let mut post = uploaded();
        let medium = post.creation_begun(at(70)).expect("uploaded");
        post.created(medium, Err(error), at(70)).expect("asked");
        post
    };
    for (kind, again_at) in [
        (RefusalKind::TokenDead, Some(71)),
        (RefusalKind::QuotaUsedUp, Some(970)),
        (RefusalKind::PostsUsedUp, Some(970)),
        (RefusalKind::MediumRefused, Some(71)),
        (RefusalKind::ConsentGone, None),
        (RefusalKind::ContentRefused, None),
        (RefusalKind::PostingBarred, None),
        (RefusalKind::AppOff, None),
    ] {
        let post = ask(&refusal(kind));
        match again_at {
            Some(second) => {
                assert_eq!((post.fate(), post.not_before), (Fate::Open, Some(at(second))), "{kind:?}");
            }
            None => assert_eq!(post.fate(), Fate::NotThere, "{kind:?}"),
        }
    }
    assert_eq!(ask(&refusal(RefusalKind::MediumRefused)).state, PostState::Uploading { parts: None });
    assert!(matches!(ask(&not_done()).state, PostState::Uploaded { .. }));
}

#[test]
fn what_is_not_done_is_tried_three_times_more_and_quotas_are_waited_for() {
    let mut post = uploaded();
    let mut now = at(70);
    for pause in RETRIES {
        post.hindered(&not_done(), now).expect("uploaded");
        assert_eq!(post.not_before, Some(now + TimeDelta::seconds(pause)));
        assert_eq!(post.take_up(now), Err(PostFault::NotNow));
        now += TimeDelta::seconds(pause);
        post.take_up(now).expect("the pause is over");
    }
    post.hindered(&not_done(), now).expect("uploaded");
    assert_eq!(post.state, PostState::Failed(PostFailure::TriesUsedUp));
    post.retry(now).expect("it failed");
    post.take_up(now).expect("at once");
    for _ in 0..1_000 {
        post.hindered(&refusal(RefusalKind::QuotaUsedUp), now).expect("uploading");
        assert_eq!(post.fate(), Fate::Open);
    }
}

/// What happens next, to the post or to who works on it.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// So many seconds pass.
    Wait(u16),
    Submit,
    Approve,
    Edit,
    Cancel,
    Retry,
    /// The worker takes it up and uploads; the platform answers so.
    Upload(Answer),
    /// The worker asks for the creation; the platform does it or not, and answers so. `true`: the worker is killed before
    /// it can write the answer down.
    Create(Answer, bool),
    /// The platform's list is read. `true`: the worker is killed before it writes that down.
    Read(bool),
    /// The platform has looked at it.
    Review(bool),
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Good,
    /// The work is done or not, and no answer comes.
    Lost(bool),
    NotDone,
    Refused(RefusalKind),
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Good),
        2 => any::<bool>().prop_map(Answer::Lost),
        2 => Just(Answer::NotDone),
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
        4 => (0_u16..2_000).prop_map(Happens::Wait),
        2 => Just(Happens::Submit),
        2 => Just(Happens::Approve),
        1 => Just(Happens::Edit),
        1 => Just(Happens::Cancel),
        1 => Just(Happens::Retry),
        4 => answer().prop_map(Happens::Upload),
        4 => (answer(), any::<bool>()).prop_map(|(answer, killed)| Happens::Create(answer, killed)),
        3 => any::<bool>().prop_map(Happens::Read),
        1 => any::<bool>().prop_map(Happens::Review),
    ]
}

/// Whether a step was taken is seen by what holds afterwards.
fn ignored(_: Result<(), PostFault>) {}

/// A post and the truth about it.
struct World {
    post: Post,
    now: Timestamp,
    /// Posts the platform has made of it.
    made: u32,
}

impl World {
    fn new() -> Self {
        Self { post: post(), now: at(0), made: 0 }
    }

    fn error(answer: Answer) -> PlatformError {
        match answer {
            Answer::Good | Answer::Lost(_) => unknown(),
            Answer::NotDone => not_done(),
            Answer::Refused(kind) => refusal(kind),
        }
    }

    /// Every step may be refused by the post; the platform acts only when it is asked.
    fn step(&mut self, happens: Happens) {
        let now = self.now;
        match happens {
            Happens::Wait(seconds) => self.now += TimeDelta::seconds(seconds.into()),
            Happens::Submit => ignored(self.post.submit()),
            Happens::Approve => ignored(self.post.approve(&self.post.draft.clone())),
            Happens::Edit => ignored(self.post.edit(draft("b"))),
            Happens::Cancel => ignored(self.post.cancel()),
            Happens::Retry => ignored(self.post.retry(now)),
            Happens::Upload(answer) => {
                if self.post.take_up(now).is_ok() {
                    let done = match answer {
                        Answer::Good => self.post.uploaded(Medium { id: "m".to_owned() }),
                        Answer::Lost(_) | Answer::NotDone | Answer::Refused(_) => {
                            self.post.hindered(&Self::error(answer), now)
                        }
                    };
                    ignored(done);
                }
            }
            Happens::Create(answer, killed) => {
                if self.post.take_up(now).is_err() {
                    return;
                }
                // Written down, and only then asked.
                let Ok(medium) = self.post.creation_begun(now) else { return };
                self.made += u32::from(matches!(answer, Answer::Good | Answer::Lost(true)));
                if killed {
                    return;
                }
                let error = Self::error(answer);
                let answer = match answer {
                    Answer::Good => Ok("item".to_owned()),
                    Answer::Lost(_) | Answer::NotDone | Answer::Refused(_) => Err(&error),
                };
                self.post.created(medium, answer, now).expect("nobody else was at it");
            }
            Happens::Read(killed) => {
                if self.post.take_up(now).is_err() || killed {
                    return;
                }
                let found = Found { item: "item".to_owned(), created_at: now, standing: Standing::Pending };
                let evidence = if self.made > 0 { Evidence::One(found) } else { Evidence::None };
                ignored(self.post.settle(evidence, now));
            }
            Happens::Review(passes) => {
                let standing = if passes { Standing::Public } else { Standing::Refused };
                let found = Found { item: "item".to_owned(), created_at: now, standing };
                ignored(self.post.reviewed(&found));
            }
        }
    }

    fn holds(&self) {
        assert!(self.made <= 1, "posted {} times: {:?}", self.made, self.post);
        match self.post.fate() {
            Fate::There => assert_eq!(self.made, 1, "shown as there: {:?}", self.post),
            Fate::NotThere => assert_eq!(self.made, 0, "shown as not there: {:?}", self.post),
            Fate::Open => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_post_is_there_once_or_never_and_what_is_shown_is_true(all in prop::collection::vec(happens(), 0..60)) {
        let mut world = World::new();
        for next in all {
            world.step(next);
            world.holds();
        }
        // Then all goes well: it comes to an end, and the end is the wish.
        for next in [Happens::Submit, Happens::Approve] {
            world.step(next);
        }
        for _ in 0..12 {
            for next in [
                Happens::Wait(2_000),
                Happens::Upload(Answer::Good),
                Happens::Create(Answer::Good, false),
                Happens::Read(false),
                Happens::Review(true),
            ] {
                world.step(next);
                world.holds();
            }
        }
        prop_assert!(world.post.fate() != Fate::Open, "it has no end: {:?}", world.post);
    }

    #[test]
    fn what_is_allowed_is_what_can_be_done(all in prop::collection::vec(happens(), 0..40)) {
        let mut world = World::new();
        for next in all {
            world.step(next);
            for op in PostOp::ALL {
                let mut post = world.post.clone();
                let done = match op {
                    PostOp::Submit => post.submit(),
                    PostOp::Approve => post.approve(&world.post.draft),
                    PostOp::Cancel => post.cancel(),
                    PostOp::Retry => post.retry(world.now),
                };
                prop_assert_eq!(done.is_ok(), world.post.allows(op), "{:?} of {:?}", op, world.post);
                if done.is_err() {
                    prop_assert_eq!(&post, &world.post, "what is refused changes nothing");
                }
            }
        }
    }
}
