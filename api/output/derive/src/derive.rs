//! The derive: how an object's stored fields are planned, written and followed a level down.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DataStruct, DeriveInput, Error, Result};

use crate::attributes::{Field, camel, has_fields};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new_spanned(parameter, "types with parameters are not written out"));
    }
    let has_fields = has_fields(&input.attrs)?;
    match &input.data {
        Data::Enum(_) => Ok(quote! {
            impl ::output::Output for #name {
                fn write<'a>(
                    &self,
                    _: ::std::option::Option<&::output::Plan<'a>>,
                    _: &mut ::output::Found,
                    out: &mut ::output::Writer<'a>,
                ) -> ::output::Wrote {
                    ::output::write_enum(*self, out);
                    ::std::result::Result::Ok(())
                }
            }
        }),
        Data::Struct(data) => object(input, data, has_fields),
        Data::Union(_) => Err(Error::new_spanned(name, "only objects and enums are written out")),
    }
}

fn object(input: &DeriveInput, data: &DataStruct, has_fields: bool) -> Result<TokenStream> {
    let name = &input.ident;
    let (mut handles, mut plans, mut writes, mut levels) = (vec![], vec![], vec![], vec![]);
    for field in &data.fields {
        let said = Field::parse(&field.attrs)?;
        let Some(ident) = &field.ident else {
            return Err(Error::new_spanned(field, "fields need names"));
        };
        if said.is_skipped || said.is_left {
            continue;
        }
        let id = u16::try_from(handles.len()).map_err(|error| Error::new_spanned(field, error))?;
        let (ty, is_priced) = (&field.ty, said.is_priced);
        let key = said.name.unwrap_or_else(|| camel(&ident.to_string()));
        handles.push(quote!(#key => ::output::Handle::Stored { id: #id, is_priced: #is_priced }));
        plans.push(quote!(#id => <#ty as ::output::Output>::plan(planner, fields)));
        writes.push(quote!(#id => ::output::Output::write(&self.#ident, below, found, out)));
        levels.push(quote!(#id => ::output::Output::level(
            parents.into_iter().map(|parent| &parent.#ident).collect(), below, ctx,
        )));
    }
    let extra = if has_fields { quote!() } else { quote!(impl ::output::Fields for #name {}) };
    Ok(quote! {
        #extra

        impl ::output::Output for #name {
            fn plan<'a>(
                planner: &mut ::output::Planner<'a>,
                fields: &[&'a ::output::AstField],
            ) -> ::output::Planned<'a> {
                ::output::plan_object::<Self>(planner, fields)
            }

            fn level<'v>(
                values: ::std::vec::Vec<&'v Self>,
                plan: &'v ::output::Plan<'v>,
                ctx: &'v ::output::SelectionContext<'v>,
            ) -> ::output::Level<'v> {
                ::output::level_object(values, plan, ctx)
            }

            fn write<'a>(
                &self,
                plan: ::std::option::Option<&::output::Plan<'a>>,
                found: &mut ::output::Found,
                out: &mut ::output::Writer<'a>,
            ) -> ::output::Wrote {
                ::output::write_object(self, plan, found, out)
            }
        }

        impl ::output::Object for #name {
            fn field(name: &str) -> ::std::option::Option<::output::Handle> {
                ::std::option::Option::Some(match name {
                    #(#handles,)*
                    _ => return ::std::option::Option::None,
                })
            }

            fn plan_field<'a>(
                id: u16,
                planner: &mut ::output::Planner<'a>,
                fields: &[&'a ::output::AstField],
            ) -> ::output::Planned<'a> {
                match id {
                    #(#plans,)*
                    _ => ::std::result::Result::Err(::output::Unplannable),
                }
            }

            fn write_field<'a>(
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

            fn level_field<'v>(
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
        }
    })
}
