//! What the `#[graphql(..)]` attributes say, as far as writing depends on it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::ParseStream;
use syn::{Attribute, Expr, Lit, LitStr, Meta, Result, Token, punctuated::Punctuated};

/// A field or method of an object.
#[derive(Default)]
pub(crate) struct Field {
    pub(crate) name: Option<String>,
    /// It is not in the schema.
    pub(crate) is_skipped: bool,
    /// Something is said of it that is async-graphql's to do.
    pub(crate) is_left: bool,
    /// It has a directive of the schema, such as a weight.
    pub(crate) is_priced: bool,
}

/// Parts of a list of attributes, so that unknown ones are seen and not refused.
fn parts(attributes: &[Attribute], of: &str) -> Result<Vec<Meta>> {
    let mut all = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(of)) {
        let parts = attribute.parse_args_with(|input: ParseStream<'_>| {
            Punctuated::<Meta, Token![,]>::parse_terminated_with(input, meta)
        })?;
        all.extend(parts);
    }
    Ok(all)
}

/// A part; `directive = a::b(..)` has an expression for its value, as has `default = 1`.
fn meta(input: ParseStream<'_>) -> Result<Meta> {
    input.parse()
}

fn text(value: &Expr) -> Result<String> {
    if let Expr::Lit(literal) = value
        && let Lit::Str(text) = &literal.lit
    {
        return Ok(text.value());
    }
    Err(syn::Error::new_spanned(value, "expected a string"))
}

impl Field {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut field = Self::default();
        for part in parts(attributes, "graphql")? {
            let name = part.path().get_ident().map(ToString::to_string).unwrap_or_default();
            match (name.as_str(), &part) {
                ("skip", Meta::Path(_)) => field.is_skipped = true,
                ("name", Meta::NameValue(value)) => field.name = Some(text(&value.value)?),
                ("directive", _) => field.is_priced = true,
                ("deprecation" | "complexity" | "owned", _) => {}
                _ => field.is_left = true,
            }
        }
        for part in parts(attributes, "output")? {
            if !part.path().is_ident("left") {
                return Err(syn::Error::new_spanned(part, "the only word for a field is `left`"));
            }
            field.is_left = true;
        }
        Ok(field)
    }
}

/// Whether the type says `#[output(fields)]`. Its `#[graphql(..)]` may say nothing that changes its fields.
pub(crate) fn has_fields(attributes: &[Attribute]) -> Result<bool> {
    for part in parts(attributes, "graphql")? {
        let name = part.path().get_ident().map(ToString::to_string).unwrap_or_default();
        if !["name", "complex", "directive", "remote", "deprecation"].contains(&name.as_str()) {
            let message = format!("`{name}` would be passed over when the object is written out");
            return Err(syn::Error::new_spanned(part, message));
        }
    }
    let mut has_fields = false;
    for part in parts(attributes, "output")? {
        if !part.path().is_ident("fields") {
            return Err(syn::Error::new_spanned(part, "the only word for a type is `fields`"));
        }
        has_fields = true;
    }
    Ok(has_fields)
}

/// An argument of a method.
pub(crate) struct Argument {
    pub(crate) name: Option<String>,
    /// The default as an expression of type `Option<fn() -> T>`.
    pub(crate) default: TokenStream,
    /// Something is said of it that is async-graphql's to do.
    pub(crate) is_left: bool,
}

impl Argument {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let none = quote!(::std::option::Option::None);
        let mut argument = Self { name: None, default: none, is_left: false };
        for part in parts(attributes, "graphql")? {
            let name = part.path().get_ident().map(ToString::to_string).unwrap_or_default();
            match (name.as_str(), &part) {
                ("name", Meta::NameValue(value)) => argument.name = Some(text(&value.value)?),
                ("desc" | "deprecation" | "directive", _) => {}
                ("default", Meta::Path(_)) => {
                    argument.default =
                        quote!(::std::option::Option::Some(|| ::std::default::Default::default()));
                }
                ("default", Meta::NameValue(value)) => {
                    let value = &value.value;
                    argument.default =
                        quote!(::std::option::Option::Some(|| ::std::convert::Into::into(#value)));
                }
                ("default_with", Meta::NameValue(value)) => {
                    let code: LitStr = syn::parse2(quote::ToTokens::to_token_stream(&value.value))?;
                    let code: Expr = code.parse()?;
                    argument.default = quote!(::std::option::Option::Some(|| #code));
                }
                _ => argument.is_left = true,
            }
        }
        Ok(argument)
    }
}

/// A Rust name as async-graphql spells it in the schema.
pub(crate) fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut is_start = false;
    for letter in name.trim_start_matches("r#").chars() {
        match letter {
            '_' => is_start = !camel.is_empty(),
            letter if is_start => {
                camel.extend(letter.to_uppercase());
                is_start = false;
            }
            letter => camel.push(letter),
        }
    }
    camel
}

#[test]
fn names_are_spelt_as_in_the_schema() {
    for (rust, schema) in
        [("created_at", "createdAt"), ("id", "id"), ("_x", "x"), ("r#type", "type"), ("a1_b", "a1B")]
    {
        assert_eq!(camel(rust), schema);
    }
}
