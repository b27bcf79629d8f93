//! Identity's use cases on memory adapters: no store, no network, no waiting, a clock that moves only when told.

mod api_keys;
mod closing;
mod invitations;
mod journeys;
mod members;
mod password_resets;
mod passwords;
mod reading;
mod refresh;
mod rights;
mod second_factor;
mod sign_in;
mod units;
mod verbs;
mod world;
