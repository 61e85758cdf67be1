/** Where the credentials of other programs are. */
import { variableNames } from "../opencode/variables.js"

/** Below the home directory. */
const inHome = [
  ".ssh",
  ".gnupg",
  ".netrc",
  "_netrc",
  ".git-credentials",
  // Clouds and clusters.
  ".aws",
  ".azure",
  ".boto",
  ".s3cfg",
  ".oci",
  ".kube",
  ".docker",
  ".fly",
  ".vercel",
  ".databrickscfg",
  ".snowflake",
  ".terraform.d",
  ".terraformrc",
  ".vault-token",
  ".sentryclirc",
  // Package registries.
  ".npmrc",
  ".yarnrc",
  ".yarnrc.yml",
  ".pypirc",
  ".cargo/credentials",
  ".cargo/credentials.toml",
  ".gem/credentials",
  ".bundle/config",
  ".m2/settings.xml",
  ".m2/settings-security.xml",
  ".gradle/gradle.properties",
  ".composer/auth.json",
  ".nuget",
  ".huggingface",
  ".cache/huggingface/token",
  // Databases.
  ".pgpass",
  ".my.cnf",
  ".mylogin.cnf",
  // Password stores, keyrings, browsers, desktops.
  ".password-store",
  ".1password",
  ".pki",
  ".mozilla",
  ".thunderbird",
  ".Xauthority",
  ".ICEauthority",
  // Other agents.
  ".claude.json",
  ".claude/.credentials.json",
  ".codex/auth.json",
  ".gemini/oauth_creds.json",
  // What was typed.
  ".bash_history",
  ".zsh_history",
  ".python_history",
  ".node_repl_history",
  ".psql_history",
  ".mysql_history",
  ".rediscli_history",
  ".lesshst",
  ".viminfo"
] as const

/** Below `~/.config`. */
const inConfigHome = [
  "gh",
  "hub",
  "glab-cli",
  "git/credentials",
  "gcloud",
  "doctl",
  "heroku",
  "netlify",
  ".wrangler",
  "rclone",
  "containers",
  "helm",
  "op",
  "1Password",
  "Bitwarden",
  "Bitwarden CLI",
  "sops",
  "age",
  "pip",
  "composer/auth.json",
  "github-copilot",
  "google-chrome",
  "chromium",
  "BraveSoftware",
  "microsoft-edge",
  "fish/fish_history",
  "Code/User/globalStorage"
] as const

/** Below `~/.local/share`. */
const inDataHome = [
  "keyrings",
  "kwalletd",
  "com.vercel.cli",
  "fish/fish_history",
  // Sessions and logins. A sandboxed process has its own data directory, with a copy of the logins.
  "opencode"
] as const

/** Of the machine; only root can read most of them. */
const ofMachine = [
  "/etc/shadow",
  "/etc/shadow-",
  "/etc/gshadow",
  "/etc/gshadow-",
  "/etc/ssh",
  "/etc/ssl/private",
  "/etc/krb5.keytab",
  "/etc/kubernetes",
  "/etc/rancher",
  "/etc/wireguard",
  "/etc/NetworkManager/system-connections",
  "/var/lib/docker",
  "/var/lib/containerd",
  "/var/lib/containers",
  "/var/lib/kubelet",
  "/var/lib/mysql",
  "/var/lib/postgresql"
] as const

/** All of them, with `~` for the home directory. */
export const all: ReadonlyArray<string> = [
  ...inHome.map((name) => `~/${name}`),
  ...inConfigHome.map((name) => `~/.config/${name}`),
  ...inDataHome.map((name) => `~/.local/share/${name}`),
  ...ofMachine
]

/** Directories that hold sockets of other programs, and are replaced as a whole. */
export const runtime = ["/run", "/var/run"] as const

/** What must be seen of them: names of hosts, and the programs of a NixOS. */
export const ofRuntime = [
  "/run/systemd/resolve/resolv.conf",
  "/run/systemd/resolve/stub-resolv.conf",
  "/run/NetworkManager/resolv.conf",
  "/run/resolvconf/resolv.conf",
  "/run/current-system",
  "/run/booted-system",
  "/run/opengl-driver",
  "/run/wrappers"
] as const

/** Directories for temporary files, where other programs leave sockets as well. */
export const temporary = ["/tmp", "/var/tmp"] as const

/** Variables that name credentials, or the socket of a program that uses them. */
const naming = [
  "AWS_CONFIG_FILE",
  "AWS_SHARED_CREDENTIALS_FILE",
  "AZURE_CONFIG_DIR",
  "BOTO_CONFIG",
  "CLOUDSDK_CONFIG",
  "CONTAINER_HOST",
  "DBUS_SESSION_BUS_ADDRESS",
  "DBUS_SYSTEM_BUS_ADDRESS",
  "DOCKER_CONFIG",
  "DOCKER_HOST",
  "GH_CONFIG_DIR",
  "GNUPGHOME",
  "KRB5CCNAME",
  "KUBECONFIG",
  "NETRC",
  "NPM_CONFIG_USERCONFIG",
  "PGPASSFILE",
  "REGISTRY_AUTH_FILE",
  "SSH_AUTH_SOCK",
  "XAUTHORITY",
  "ZELLIJ_SOCKET_DIR"
] as const

/** The absolute paths in a list or an address, like `unix:path=/run/user/1000/bus,guid=…`. */
export const pathsIn = (value: string): ReadonlyArray<string> =>
  [...value.matchAll(/(?:^|[:=,;])(\/(?!\/[^/])[^:,;]+)/g)].map((match) => match[1]!.replace(/^\/+/, "/"))

export interface Home {
  readonly directories: ReadonlyArray<string>
  /** Variables of this program and of the child; the paths in both count. */
  readonly variables: ReadonlyArray<{ readonly [name: string]: string | undefined }>
}

/** All paths that are hidden, whether they exist or not. */
export const expanded = ({ directories, variables }: Home): ReadonlyArray<string> => {
  const values = (name: string) => variables.flatMap((all) => all[name] ?? [])
  const below = (homes: ReadonlyArray<string>, names: ReadonlyArray<string>) =>
    homes.filter((home) => home.startsWith("/")).flatMap((home) => names.map((name) => `${home}/${name}`))
  return [
    ...below(directories, inHome),
    ...below([...directories.map((home) => `${home}/.config`), ...values(variableNames.configHome)], inConfigHome),
    ...below([...directories.map((home) => `${home}/.local/share`), ...values(variableNames.dataHome)], inDataHome),
    ...ofMachine,
    ...naming.flatMap(values).flatMap(pathsIn)
  ]
}
