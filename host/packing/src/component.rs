//! Putting data into a component that was built already.
//!
//! The component imports an instance with a function `read`. The packed component has it within, as
//! it is, and imports what it imports but for that one: in its place a small component with the data
//! is instantiated. It becomes the instance of the import's number, so the types and imports are
//! copied as they are. The two have to be side by side: one that has the other in it may not call it.

use std::ops::Range;

use wasm_encoder::{
    Alias, CanonicalOption, CodeSection, ComponentAliasSection, ComponentBuilder,
    ComponentExportKind, ComponentExportSection, ComponentInstanceSection, ComponentSection,
    ComponentSectionId, ConstExpr, CustomSection, DataSection, ExportKind, ExportSection, Function,
    FunctionSection, MemorySection, MemoryType, Module, ModuleArg, PrimitiveValType, TypeSection,
    ValType,
};
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentTypeRef, Encoding,
    Parser, Payload,
};

use crate::PackError;

/// The custom section that holds what a plugin says of itself.
pub const SECTION: &str = "windlass:descriptor";

/// The interface that a recipe's component imports, without its version.
const SOURCE: &str = "windlass:recipe/source";

/// Where the data begins in the small component's memory, after its address and length.
const DATA_AT: u32 = 16;

const PAGE: u64 = 65_536;

/// The bytes that every component begins with.
const HEADER: usize = 8;

/// What a component imports, by name.
///
/// # Errors
/// When it is no component.
pub fn imports(component: &[u8]) -> Result<Vec<String>, PackError> {
    let (mut depth, mut names) = (0, Vec::new());
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| unreadable(&error))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    names.push(import.map_err(|error| unreadable(&error))?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

/// The names of what a component exports.
///
/// # Errors
/// When it is no component.
pub fn exports(component: &[u8]) -> Result<Vec<String>, PackError> {
    let (mut depth, mut names) = (0, Vec::new());
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| unreadable(&error))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    names.push(export.map_err(|error| unreadable(&error))?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

/// Plugs the data in.
///
/// # Errors
/// When the component imports no data, or is laid out in a way that this does not know.
pub fn plug(component: &[u8], text: &str) -> Result<Vec<u8>, PackError> {
    let layout = Layout::of(component)?;
    let import = layout.source.as_ref().ok_or_else(|| {
        PackError::component(format!(
            "it imports no `{SOURCE}`: give it a descriptor.json instead of a recipe.yaml, or build \
             it with `sdk::recipe`"
        ))
    })?;
    if layout.has_late_imports {
        return Err(PackError::component(
            "it has imports after its code, which the SDK's have not",
        ));
    }
    let mut packed = Vec::with_capacity(component.len() + text.len() + 8 * 1024);
    packed.extend_from_slice(part(component, 0..import.section.start)?);
    let before = part(component, import.items.start..import.item.start)?;
    import_section(&mut packed, import.before, before);
    section(&mut packed, ComponentSectionId::Component, &source(text));
    let mut instances = ComponentInstanceSection::new();
    let no_arguments: [(&str, ComponentExportKind, u32); 0] = [];
    instances.instantiate(0, no_arguments);
    append(&mut packed, &instances);
    let after = part(component, import.item.end..import.items.end)?;
    import_section(&mut packed, import.after, after);
    packed.extend_from_slice(part(component, import.section.end..layout.end)?);
    layout.instantiate(&mut packed, component);
    Ok(packed)
}

/// Appends the descriptor.
///
/// # Errors
/// When there is one already.
pub fn describe(component: &[u8], descriptor: &[u8]) -> Result<Vec<u8>, PackError> {
    for payload in Parser::new(0).parse_all(component) {
        if let Payload::CustomSection(section) = payload.map_err(|error| unreadable(&error))?
            && section.name() == SECTION
        {
            return Err(PackError::component("it has a descriptor already: build it without one"));
        }
    }
    let mut packed = component.to_vec();
    append(&mut packed, &CustomSection { name: SECTION.into(), data: descriptor.into() });
    Ok(packed)
}

/// How a component begins: types, imports, and aliases of what was imported.
#[derive(Default)]
struct Layout {
    /// The import of the data.
    source: Option<Import>,
    /// Every import, with its number among those of its kind.
    imports: Vec<(String, ComponentExportKind, u32)>,
    /// What it exports.
    exports: Vec<(String, ComponentExportKind)>,
    /// Where its own code begins.
    end: usize,
    /// Whether it imports more after that.
    has_late_imports: bool,
    types: u32,
    instances: u32,
    functions: u32,
}

/// Where the import of the data stands.
struct Import {
    /// The whole section, with its head.
    section: Range<usize>,
    /// The section's imports.
    items: Range<usize>,
    /// The one import.
    item: Range<usize>,
    /// How many are before and after it in the section.
    before: u32,
    after: u32,
}

impl Layout {
    fn of(component: &[u8]) -> Result<Self, PackError> {
        let mut layout = Self { end: HEADER, ..Self::default() };
        // The parser goes into what is nested; only the outermost level counts.
        let (mut depth, mut is_beginning) = (0, true);
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload.map_err(|error| unreadable(&error))?;
            match &payload {
                Payload::Version { encoding, .. } if depth == 0 => {
                    if *encoding != Encoding::Component {
                        let reason = "it is a core module: make a component of it";
                        return Err(PackError::component(reason));
                    }
                    continue;
                }
                Payload::End(_) => depth -= 1,
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                    is_beginning &= depth > 0;
                    depth += 1;
                }
                _ if depth > 0 => {}
                Payload::ComponentExportSection(exports) => layout.exported(exports.clone())?,
                _ if is_beginning => is_beginning = layout.begun(&payload)?,
                Payload::ComponentImportSection(_) => layout.has_late_imports = true,
                _ => {}
            }
        }
        Ok(layout)
    }

    /// Takes a section of the beginning; whether it was one.
    fn begun(&mut self, payload: &Payload<'_>) -> Result<bool, PackError> {
        let end = match payload {
            Payload::ComponentTypeSection(types) => {
                self.types += types.count();
                types.range().end
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases.clone() {
                    self.aliased(&alias.map_err(|error| unreadable(&error))?)?;
                }
                aliases.range().end
            }
            Payload::ComponentImportSection(imports) => {
                self.imported(imports.clone())?;
                imports.range().end
            }
            _ => return Ok(false),
        };
        self.end = end;
        Ok(true)
    }

    fn aliased(&mut self, alias: &ComponentAlias<'_>) -> Result<(), PackError> {
        match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Type, .. }
            | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, .. } => self.types += 1,
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Func, .. } => {
                self.functions += 1;
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Instance, .. } => {
                self.instances += 1;
            }
            _ => return Err(unknown("an alias")),
        }
        Ok(())
    }

    fn imported(
        &mut self,
        section: wasmparser::ComponentImportSectionReader<'_>,
    ) -> Result<(), PackError> {
        let (range, count) = (section.range(), section.count());
        let mut items: Vec<(usize, bool)> = Vec::new();
        for item in section.into_iter_with_offsets() {
            let (at, import) = item.map_err(|error| unreadable(&error))?;
            let name = import.name.name;
            let (kind, number) = match import.ty {
                ComponentTypeRef::Instance(_) => {
                    (ComponentExportKind::Instance, &mut self.instances)
                }
                ComponentTypeRef::Type(_) => (ComponentExportKind::Type, &mut self.types),
                ComponentTypeRef::Func(_) => (ComponentExportKind::Func, &mut self.functions),
                _ => return Err(unknown("an import")),
            };
            self.imports.push((name.to_owned(), kind, *number));
            *number += 1;
            let is_instance = kind == ComponentExportKind::Instance;
            items.push((at, is_instance && name.split('@').next() == Some(SOURCE)));
        }
        let Some(number) = items.iter().position(|(_, is_it)| *is_it) else { return Ok(()) };
        let start_of = |number: usize| items.get(number).map_or(range.end, |(at, _)| *at);
        let before = u32::try_from(number).unwrap_or(u32::MAX);
        self.source = Some(Import {
            section: self.end..range.end,
            items: start_of(0)..range.end,
            item: start_of(number)..start_of(number + 1),
            before,
            after: count.saturating_sub(before + 1),
        });
        Ok(())
    }

    fn exported(
        &mut self,
        section: wasmparser::ComponentExportSectionReader<'_>,
    ) -> Result<(), PackError> {
        for export in section {
            let export = export.map_err(|error| unreadable(&error))?;
            if export.kind != ComponentExternalKind::Func {
                return Err(unknown("an export"));
            }
            self.exports.push((export.name.name.to_owned(), ComponentExportKind::Func));
        }
        Ok(())
    }

    /// The component itself, with all that it imports, and its exports as those of the whole.
    fn instantiate(&self, packed: &mut Vec<u8>, component: &[u8]) {
        section(packed, ComponentSectionId::Component, component);
        let mut instances = ComponentInstanceSection::new();
        let arguments = self.imports.iter().map(|(name, kind, number)| (name, *kind, *number));
        instances.instantiate(1, arguments.map(|(name, kind, at)| (name.as_str(), kind, at)));
        append(packed, &instances);
        let mut aliases = ComponentAliasSection::new();
        let mut exports = ComponentExportSection::new();
        for ((name, kind), number) in self.exports.iter().zip(self.functions..) {
            aliases.alias(Alias::InstanceExport { instance: self.instances, kind: *kind, name });
            exports.export(name.as_str(), *kind, number, None);
        }
        append(packed, &aliases);
        append(packed, &exports);
    }
}

fn unknown(what: &str) -> PackError {
    PackError::component(format!("it has {what} of a kind that an app's component has not"))
}

/// A section of imports that were encoded already.
fn import_section(packed: &mut Vec<u8>, count: u32, items: &[u8]) {
    if count == 0 {
        return;
    }
    let mut content = Vec::new();
    number(&mut content, count as usize);
    content.extend_from_slice(items);
    section(packed, ComponentSectionId::Import, &content);
}

/// A component that exports `read`, which answers the data.
fn source(text: &str) -> Vec<u8> {
    let mut builder = ComponentBuilder::default();
    let module = builder.core_module(None, &module(text));
    let no_arguments: [(&str, ModuleArg); 0] = [];
    let instance = builder.core_instantiate(None, module, no_arguments);
    let memory = builder.core_alias_export(None, instance, "memory", ExportKind::Memory);
    let read = builder.core_alias_export(None, instance, "read", ExportKind::Func);
    let (kind, mut function) = builder.type_function(None);
    let no_parameters: [(&str, PrimitiveValType); 0] = [];
    function.params(no_parameters).result(Some(PrimitiveValType::String.into()));
    let options = [CanonicalOption::Memory(memory), CanonicalOption::UTF8];
    let lifted = builder.lift_func(None, read, kind, options);
    builder.export("read", ComponentExportKind::Func, lifted, None);
    builder.finish()
}

/// A core module whose memory holds the data.
fn module(text: &str) -> Module {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut content = Vec::new();
    content.extend_from_slice(&DATA_AT.to_le_bytes());
    content.extend_from_slice(&length.to_le_bytes());
    content.resize(DATA_AT as usize, 0);
    content.extend_from_slice(text.as_bytes());
    let pages = (content.len() as u64).div_ceil(PAGE);
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: pages,
        maximum: Some(pages),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0).export("read", ExportKind::Func, 0);
    let mut read = Function::new([]);
    read.instructions().i32_const(0).end();
    let mut code = CodeSection::new();
    code.function(&read);
    let mut segments = DataSection::new();
    segments.active(0, &ConstExpr::i32_const(0), content);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code)
        .section(&segments);
    module
}

fn append(packed: &mut Vec<u8>, section: &impl ComponentSection) {
    packed.push(section.id());
    section.encode(packed);
}

fn section(packed: &mut Vec<u8>, id: ComponentSectionId, content: &[u8]) {
    packed.push(id.into());
    number(packed, content.len());
    packed.extend_from_slice(content);
}

/// Unsigned LEB128, as binaries of WebAssembly have it.
fn number(packed: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            packed.push(byte);
            return;
        }
        packed.push(byte | 0x80);
    }
}

fn part(bytes: &[u8], range: Range<usize>) -> Result<&[u8], PackError> {
    bytes.get(range).ok_or_else(|| PackError::component("it ends too early"))
}

fn unreadable(error: &wasmparser::BinaryReaderError) -> PackError {
    PackError::component(format!("it is no WebAssembly component: {error}"))
}
