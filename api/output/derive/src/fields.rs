//! The attribute: computed and batched fields, and the ordinary ones async-graphql sees in their place.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Attribute, Error, FnArg, GenericArgument, Ident, ImplItem, ImplItemFn, ItemImpl, Pat, PathArguments,
    Result, ReturnType, Type,
};

use crate::attributes::{Argument, Field, camel};

/// The parts generated for one method.
#[derive(Default)]
struct Generated {
    ordinary: Vec<TokenStream>,
    handles: Vec<TokenStream>,
    plans: Vec<TokenStream>,
    writes: Vec<TokenStream>,
    levels: Vec<TokenStream>,
    calls: Vec<TokenStream>,
}

pub(crate) fn expand(input: &ItemImpl) -> Result<TokenStream> {
    let ty = &input.self_ty;
    let mut kept = input.clone();
    let mut generated = Generated::default();
    for item in &mut kept.items {
        let ImplItem::Fn(method) = item else {
            return Err(Error::new_spanned(item, "only functions are fields"));
        };
        let id = u16::try_from(generated.ordinary.len()).map_err(|e| Error::new_spanned(&*method, e))?;
        if method.sig.receiver().is_some() {
            generated.computed(id, method)?;
        } else {
            generated.batched(id, method)?;
        }
        strip(method);
    }
    let Generated { ordinary, handles, plans, writes, levels, calls } = generated;
    Ok(quote! {
        #kept

        #[::async_graphql::ComplexObject]
        impl #ty { #(#ordinary)* }

        impl ::output::Fields for #ty {
            fn extra_field(name: &str) -> ::std::option::Option<::output::Handle> {
                ::std::option::Option::Some(match name {
                    #(#handles,)*
                    _ => return ::std::option::Option::None,
                })
            }

            fn plan_extra<'a>(
                id: u16,
                planner: &mut ::output::Planner<'a>,
                fields: &[&'a ::output::AstField],
            ) -> ::output::Planned<'a> {
                match id {
                    #(#plans,)*
                    _ => ::std::result::Result::Err(::output::Unplannable),
                }
            }

            fn write_extra<'a>(
                &self,
                id: u16,
                below: ::std::option::Option<&::output::Plan<'a>>,
                found: &mut ::output::Found,
                out: &mut ::output::Writer<'a>,
            ) -> ::output::Wrote {
                match id {
                    #(#writes,)*
                    _ => ::std::result::Result::Err(::output::Failed),
                }
            }

            fn level_extra<'v>(
                id: u16,
                parents: ::std::vec::Vec<&'v Self>,
                below: &'v ::output::Plan<'v>,
                ctx: &'v ::output::SelectionContext<'v>,
            ) -> ::output::Level<'v> {
                match id {
                    #(#levels,)*
                    _ => ::output::nothing(),
                }
            }

            fn call<'v>(
                id: u16,
                parents: &'v [&'v Self],
                ctx: &'v ::async_graphql::Context<'v>,
            ) -> ::output::Call<'v> {
                match id {
                    #(#calls,)*
                    _ => ::output::no_call(parents.len()),
                }
            }
        }
    })
}

/// Takes off what is async-graphql's to read; it stands on the generated method.
fn strip(method: &mut ImplItemFn) {
    method.attrs.retain(|attribute| !is_of_schema(attribute));
    for argument in &mut method.sig.inputs {
        if let FnArg::Typed(argument) = argument {
            argument.attrs.retain(|attribute| !is_of_schema(attribute));
        }
    }
}

fn is_of_schema(attribute: &Attribute) -> bool {
    attribute.path().is_ident("graphql") || attribute.path().is_ident("output")
}

/// Documentation and `#[graphql(..)]`, for the generated argument.
fn shown(attributes: &[Attribute]) -> Vec<&Attribute> {
    let is_shown =
        |attribute: &&Attribute| attribute.path().is_ident("graphql") || attribute.path().is_ident("doc");
    attributes.iter().filter(is_shown).collect()
}

impl Generated {
    /// What all kinds of fields have: the name, the handle, and the ordinary method's attributes.
    fn start(&mut self, kind: &Ident, id: u16, method: &ImplItemFn, is_left: bool) -> Result<TokenStream> {
        let said = Field::parse(&method.attrs)?;
        let is_named = said.name.is_some();
        let key = said.name.unwrap_or_else(|| camel(&method.sig.ident.to_string()));
        let is_priced = said.is_priced;
        if !is_left && !said.is_left {
            self.handles.push(quote!(#key => ::output::Handle::#kind { id: #id, is_priced: #is_priced }));
        }
        let documentation = method.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
        // One attribute for all: async-graphql takes off no more than one.
        let mut words = Vec::new();
        for attribute in method.attrs.iter().filter(|attribute| attribute.path().is_ident("graphql")) {
            words.push(attribute.parse_args::<TokenStream>()?);
        }
        if !is_named {
            words.push(quote!(name = #key));
        }
        Ok(quote!(#(#documentation)* #[graphql(#(#words),*)]))
    }

    fn computed(&mut self, id: u16, method: &ImplItemFn) -> Result<()> {
        let name = &method.sig.ident;
        let ReturnType::Type(_, ty) = &method.sig.output else {
            return Err(Error::new_spanned(&method.sig, "a field has a value"));
        };
        if method.sig.asyncness.is_some() || method.sig.inputs.len() != 1 {
            let message = "a computed field is not async and takes nothing but `&self`";
            return Err(Error::new_spanned(&method.sig, message));
        }
        let attributes = self.start(&format_ident!("Computed"), id, method, false)?;
        let one = format_ident!("{name}_of_one");
        self.ordinary.push(quote!(#attributes async fn #one(&self) -> #ty { self.#name() }));
        self.plans.push(quote!(#id => <#ty as ::output::Output>::plan(planner, fields)));
        self.writes.push(quote!(#id => ::output::Output::write(&self.#name(), below, found, out)));
        self.levels.push(quote!(#id => ::std::boxed::Box::pin(async move {
            let values: ::std::vec::Vec<_> = parents.into_iter().map(|parent| parent.#name()).collect();
            ::output::Output::level(values.iter().collect(), below, ctx).await
        })));
        Ok(())
    }

    fn batched(&mut self, id: u16, method: &ImplItemFn) -> Result<()> {
        let name = &method.sig.ident;
        let outcome = outcome(&method.sig.output)?;
        if method.sig.asyncness.is_none() || method.sig.inputs.len() < 2 {
            let message = "a batched field is `async fn(parents: &[&Self], ctx: &Context<'_>, ..)`";
            return Err(Error::new_spanned(&method.sig, message));
        }
        let (mut idents, mut types, mut keys, mut defaults) = (vec![], vec![], vec![], vec![]);
        let (mut declared, mut is_left) = (vec![], false);
        for argument in method.sig.inputs.iter().skip(2) {
            let FnArg::Typed(argument) = argument else { continue };
            let Pat::Ident(ident) = &*argument.pat else {
                return Err(Error::new_spanned(argument, "an argument has a name"));
            };
            let (ident, ty, shown) = (&ident.ident, &argument.ty, shown(&argument.attrs));
            let said = Argument::parse(&argument.attrs)?;
            declared.push(quote!(#(#shown)* #ident: #ty));
            keys.push(said.name.unwrap_or_else(|| camel(&ident.to_string())));
            defaults.push(said.default);
            idents.push(ident);
            types.push(ty);
            is_left |= said.is_left;
        }
        let attributes = self.start(&format_ident!("Batched"), id, method, is_left)?;
        let one = format_ident!("{name}_of_one");
        self.ordinary.push(quote! {
            #attributes
            async fn #one(
                &self, ctx: &::async_graphql::Context<'_>, #(#declared,)*
            ) -> ::output::Single<#outcome> {
                ::output::Single::of(Self::#name(&[self], ctx, #(#idents,)*).await)
            }
        });
        self.plans.push(quote!(#id => <#outcome as ::output::Output>::plan(planner, fields)));
        self.calls.push(quote!(#id => ::std::boxed::Box::pin(async move {
            let arguments = || ::std::result::Result::Ok((
                #(ctx.param_value::<#types>(#keys, #defaults)?.1,)*
            ));
            let (#(#idents,)*) = match arguments() {
                ::std::result::Result::Ok(arguments) => arguments,
                ::std::result::Result::Err(error) => {
                    return ::output::Answered::<#outcome>::refused(error);
                }
            };
            let outcomes = Self::#name(parents, ctx, #(#idents,)*).await;
            ::output::Answered::<#outcome>::of(
                outcomes.map_err(::std::convert::Into::into), parents.len(),
            )
        })));
        Ok(())
    }
}

/// `X` of `Result<Vec<X>, E>`.
fn outcome(output: &ReturnType) -> Result<Type> {
    let refused = || Error::new_spanned(output, "a batched field returns `Result<Vec<outcome>, error>`");
    let ReturnType::Type(_, ty) = output else { return Err(refused()) };
    first_parameter(ty, "Result").and_then(|list| first_parameter(&list, "Vec")).ok_or_else(refused)
}

fn first_parameter(ty: &Type, of: &str) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == of)?;
    let PathArguments::AngleBracketed(parameters) = &last.arguments else { return None };
    let GenericArgument::Type(ty) = parameters.args.first()? else { return None };
    Some(ty.clone())
}
