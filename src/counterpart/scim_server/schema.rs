//! The attributes of the resources (RFC 7643 4 and 7, draft-ietf-scim-roles-entitlements-01).

/// Schema URN of users.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// Schema URN of the enterprise extension.
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// Schema URN of groups.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// Schema URN of roles.
pub const ROLE: &str = "urn:ietf:params:scim:schemas:core:2.0:Role";

/// The types of resources that have an endpoint for data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// /Users
    User,
    /// /Groups
    Group,
    /// /Roles, read only.
    Role,
}

impl Kind {
    /// Name, as in meta.resourceType.
    pub fn name(self) -> &'static str {
        match self {
            Kind::User => "User",
            Kind::Group => "Group",
            Kind::Role => "Role",
        }
    }

    /// Endpoint below the base.
    pub fn endpoint(self) -> &'static str {
        match self {
            Kind::User => "/Users",
            Kind::Group => "/Groups",
            Kind::Role => "/Roles",
        }
    }

    /// Core schema.
    pub fn urn(self) -> &'static str {
        match self {
            Kind::User => USER,
            Kind::Group => GROUP,
            Kind::Role => ROLE,
        }
    }

    /// Attributes of the core schema.
    pub fn core(self) -> &'static [Attribute] {
        match self {
            Kind::User => USER_ATTRIBUTES,
            Kind::Group => GROUP_ATTRIBUTES,
            Kind::Role => ROLE_ATTRIBUTES,
        }
    }
}

/// The type of an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// A string.
    Text,
    /// A boolean.
    Boolean,
    /// An integer.
    Integer,
    /// A time of RFC 3339.
    DateTime,
    /// A URI.
    Reference,
    /// An object of these.
    Complex(&'static [Attribute]),
}

/// An attribute, with the characteristics of RFC 7643 7.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Name; compared regardless of case.
    pub name: &'static str,
    /// Type of the value, or of each value.
    pub of: Type,
    /// Several values?
    pub multi: bool,
    /// Must it be there?
    pub required: bool,
    /// Is letter case significant?
    pub case_exact: bool,
    /// readWrite, readOnly, writeOnly or immutable.
    pub mutability: &'static str,
    /// default, always or never.
    pub returned: &'static str,
    /// none or server.
    pub uniqueness: &'static str,
}

impl Attribute {
    const fn new(name: &'static str, of: Type) -> Self {
        Attribute {
            name,
            of,
            multi: false,
            required: false,
            case_exact: false,
            mutability: "readWrite",
            returned: "default",
            uniqueness: "none",
        }
    }

    const fn read_only(self) -> Self {
        Attribute { mutability: "readOnly", ..self }
    }

    const fn exact(self) -> Self {
        Attribute { case_exact: true, ..self }
    }

    const fn required(self) -> Self {
        Attribute { required: true, ..self }
    }

    /// The sub-attributes of a complex one.
    pub fn subs(&self) -> &'static [Attribute] {
        match self.of {
            Type::Complex(subs) => subs,
            _ => &[],
        }
    }

    /// May clients not write it?
    pub fn is_read_only(&self) -> bool {
        self.mutability == "readOnly"
    }
}

const fn text(name: &'static str) -> Attribute {
    Attribute::new(name, Type::Text)
}

const fn boolean(name: &'static str) -> Attribute {
    Attribute::new(name, Type::Boolean)
}

const fn several(name: &'static str, subs: &'static [Attribute]) -> Attribute {
    Attribute { multi: true, ..Attribute::new(name, Type::Complex(subs)) }
}

const fn complex(name: &'static str, subs: &'static [Attribute]) -> Attribute {
    Attribute::new(name, Type::Complex(subs))
}

const PLURAL: &[Attribute] = &[text("value"), text("display"), text("type"), boolean("primary")];

/// The attributes that every resource has (RFC 7643 3.1); they stand in no schema.
pub const COMMON: &[Attribute] = &[
    Attribute { multi: true, returned: "always", ..text("schemas").exact() },
    Attribute { returned: "always", uniqueness: "server", ..text("id").exact().read_only() },
    text("externalId").exact(),
    complex(
        "meta",
        &[
            text("resourceType").exact().read_only(),
            Attribute::new("created", Type::DateTime).read_only(),
            Attribute::new("lastModified", Type::DateTime).read_only(),
            Attribute::new("location", Type::Reference).exact().read_only(),
            text("version").exact().read_only(),
        ],
    )
    .read_only(),
];

const USER_ATTRIBUTES: &[Attribute] = &[
    Attribute { uniqueness: "server", ..text("userName").required() },
    complex("name", &[text("formatted"), text("familyName"), text("givenName")]),
    text("displayName"),
    text("title"),
    text("preferredLanguage"),
    boolean("active"),
    Attribute { mutability: "writeOnly", returned: "never", ..text("password").exact() },
    several("emails", PLURAL),
    several("phoneNumbers", PLURAL),
    several(
        "groups",
        &[
            text("value").exact().read_only(),
            Attribute::new("$ref", Type::Reference).exact().read_only(),
            text("display").read_only(),
        ],
    )
    .read_only(),
    several("roles", &[text("value").exact(), text("display"), text("type"), boolean("primary")]),
];

/// The attributes of the enterprise extension (RFC 7643 4.3).
pub const ENTERPRISE_ATTRIBUTES: &[Attribute] = &[
    text("employeeNumber"),
    text("costCenter"),
    text("organization"),
    text("division"),
    text("department"),
    complex(
        "manager",
        &[text("value").exact(), Attribute::new("$ref", Type::Reference).exact(), text("displayName").read_only()],
    ),
];

/// The extension as an attribute whose name is its URN, which is how a representation holds it.
pub const EXTENSION: Attribute = complex(ENTERPRISE, ENTERPRISE_ATTRIBUTES);

const GROUP_ATTRIBUTES: &[Attribute] = &[
    text("displayName").required(),
    several(
        "members",
        &[
            Attribute { mutability: "immutable", ..text("value").exact() },
            Attribute { mutability: "immutable", ..Attribute::new("$ref", Type::Reference).exact() },
            text("display").read_only(),
            Attribute { mutability: "immutable", ..text("type") },
        ],
    ),
];

const ROLE_ATTRIBUTES: &[Attribute] = &[
    text("value").exact().required().read_only(),
    text("display").read_only(),
    text("type").read_only(),
    boolean("supported").required().read_only(),
    boolean("limitedAssignmentsPermitted").read_only(),
    Attribute::new("totalAssignmentsPermitted", Type::Integer).read_only(),
    Attribute::new("totalAssignmentsUsed", Type::Integer).read_only(),
];
