//! `#[derive(Output)]` and `#[output::fields]`; see the crate `output`, which re-exports both.
//!
//! Invariants: what async-graphql is told about a field and this crate does not know leaves that field to
//! async-graphql, so forgetting something is slow, never wrong; what would change all fields of a type (a guard on the
//! type) does not compile.

mod attributes;
mod derive;
mod fields;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemImpl, parse_macro_input};

/// Makes an object (beside `SimpleObject`) or an enum (beside `Enum`) writable.
#[proc_macro_derive(Output, attributes(output))]
pub fn output(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive::expand(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Adds computed and batched fields to an object that derives `Output` with `#[output(fields)]`. Attributes
/// `#[graphql(..)]` of the methods and their arguments are those of `ComplexObject`, which is generated.
#[proc_macro_attribute]
pub fn fields(_: TokenStream, input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as ItemImpl);
    fields::expand(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}
