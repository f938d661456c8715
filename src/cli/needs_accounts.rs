//! What the clauses about accounts (AL1 to AL3) need.

use super::needs::Need;

/// Needs with the target-file keys that meet them.
pub const OF_ACCOUNTS: [Need; 45] = [
    Need {
        need: "admin-hook:assign-user",
        keys: &["hooks.assign-user"],
        meaning: "Gives the application to the directory user {user}. May print the id of the account, as the suite's server gave it.",
    },
    Need { need: "admin-hook:unassign-user", keys: &["hooks.unassign-user"], meaning: "Takes the application from {user}." },
    Need { need: "admin-hook:enable-user", keys: &["hooks.enable-user"], meaning: "Enables {user} again." },
    Need { need: "admin-hook:delete-user", keys: &["hooks.delete-user"], meaning: "Deletes {user} from the directory." },
    Need {
        need: "admin-hook:update-profile",
        keys: &["hooks.update-profile"],
        meaning: "Sets {attribute} of {user} to {value}; an empty value clears it.",
    },
    Need { need: "admin-hook:rename-user", keys: &["hooks.rename-user"], meaning: "Gives {user} the new user name {value}." },
    Need {
        need: "admin-hook:create-group",
        keys: &["hooks.create-group"],
        meaning: "Makes the group {group} and pushes it to the application.",
    },
    Need { need: "admin-hook:add-group-member", keys: &["hooks.add-group-member"], meaning: "Puts {user} into {group}." },
    Need {
        need: "admin-hook:remove-group-member",
        keys: &["hooks.remove-group-member"],
        meaning: "Takes {user} out of {group}.",
    },
    Need { need: "admin-hook:delete-group", keys: &["hooks.delete-group"], meaning: "Deletes {group}." },
    Need {
        need: "admin-hook:full-resync",
        keys: &["hooks.full-resync"],
        meaning: "Starts a full synchronisation with the application.",
    },
    Need { need: "admin-hook:import-roles", keys: &["hooks.import-roles"], meaning: "Reads the application's roles anew." },
    Need { need: "admin-hook:map-role", keys: &["hooks.map-role"], meaning: "Gives {user} the role {role}." },
    Need { need: "admin-hook:unmap-role", keys: &["hooks.unmap-role"], meaning: "Takes the role {role} from {user}." },
    Need { need: "app-hook:create-role", keys: &["hooks.create-role"], meaning: "Makes the role {role} at the application." },
    Need {
        need: "allow-load",
        keys: &[],
        meaning: "Requests in large numbers: run with --allow-load, and never against a production system without leave.",
    },
    Need { need: "bulk-users", keys: &["hooks.create-user"], meaning: "Many users; only with --allow-load." },
    Need {
        need: "disposable-tenant",
        keys: &["scim.disposable_tenant"],
        meaning: "A tenant that commands about all of its accounts may be sent to.",
    },
    Need {
        need: "disposable-user",
        keys: &["scim.users", "hooks.create-user"],
        meaning: "A user that may be deleted: the run makes its own where it can.",
    },
    Need {
        need: "test-user",
        keys: &["scim.users", "hooks.create-user", "lifecycle.users"],
        meaning: "A user to work on: the run makes its own where it can.",
    },
    Need {
        need: "new-user",
        keys: &["hooks.create-user", "lifecycle.users"],
        meaning: "A directory user that the application does not know yet.",
    },
    Need { need: "sentinel", keys: &[], meaning: "A second user that must not be touched; the run makes it." },
    Need {
        need: "local-account",
        keys: &["accounts.surface.local-login", "accounts.local_user"],
        meaning: "An account with a password of the application's own.",
    },
    Need { need: "probe:session", keys: &["app.protected_url"], meaning: "A page that shows whether somebody is signed in." },
    Need {
        need: "probe:api-token",
        keys: &["app.tokens", "accounts.other_api"],
        meaning: "Tokens that the application issues to its users, and an API that takes them.",
    },
    Need { need: "probe:refresh", keys: &["app.tokens"], meaning: "A refresh token of the application's own." },
    Need { need: "probe:roles", keys: &["accounts.roles"], meaning: "Page and element that show the roles of who is signed in." },
    Need {
        need: "probe:profile",
        keys: &["accounts.profile"],
        meaning: "Page and element that show the display name of who is signed in.",
    },
    Need {
        need: "probe:role-catalogue",
        keys: &["lifecycle.roles", "accounts.surface.role-catalogue"],
        meaning: "The roles as the application's administrator sees them.",
    },
    Need {
        need: "probe:local-user-create",
        keys: &["accounts.surface.local-user-create"],
        meaning: "What an administrator does to make a user on the application's own pages.",
    },
    Need {
        need: "probe:local-profile-edit",
        keys: &["accounts.surface.local-profile-edit"],
        meaning: "What a user does to change the display name to {value}.",
    },
    Need {
        need: "probe:local-user-delete",
        keys: &["accounts.surface.local-user-delete"],
        meaning: "What an administrator does to delete {user_name}.",
    },
    Need {
        need: "probe:local-group-edit",
        keys: &["accounts.surface.local-group-edit"],
        meaning: "What an administrator does to put {user_name} into {group}.",
    },
    Need {
        need: "probe:local-role-edit",
        keys: &["accounts.surface.local-role-edit"],
        meaning: "What an administrator does to give {user_name} the role {role}.",
    },
    Need {
        need: "probe:local-login",
        keys: &["accounts.surface.local-login"],
        meaning: "How somebody signs in without the identity service.",
    },
    Need { need: "probe:signup", keys: &["accounts.surface.signup"], meaning: "How somebody signs up with {email}." },
    Need { need: "scim-base", keys: &["scim.base_url"], meaning: "The application's SCIM service provider." },
    Need {
        need: "scim-token",
        keys: &["scim.base_url", "scim.auth", "scim.token"],
        meaning: "The SCIM service provider and a token for it.",
    },
    Need {
        need: "scim-create",
        keys: &[],
        meaning: "The service provider creates users; what it refuses is told by the clause.",
    },
    Need { need: "scim-groups", keys: &[], meaning: "The service provider has groups; what it refuses is told by the clause." },
    Need {
        need: "second-tenant",
        keys: &["scim.second_token", "scim.second_client_id"],
        meaning: "A token for a second tenant of the application.",
    },
    Need {
        need: "suite-as",
        keys: &["scim.auth", "scim.issuer", "scim.audience"],
        meaning: "Access tokens by signed JWTs (RFC 7523) or of the identity service's own authorization server.",
    },
    Need {
        need: "suite-scim",
        keys: &["counterpart.scim_url", "counterpart.scim_listen", "scim.token"],
        meaning: "The suite's SCIM server, which the identity service provisions into.",
    },
    Need {
        need: "suite-command-endpoint",
        keys: &["counterpart.commands_url"],
        meaning: "The suite's command endpoint, which the identity service sends commands to.",
    },
    Need { need: "token-issuer", keys: &[], meaning: "Where access tokens come from; a static token never ends." },
];
