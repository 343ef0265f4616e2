// The OIDC issuer of the local stack: any email address signs in, verified. The runner
// passes one argument, a JSON object of strings: port, clientId, publicUrl, platformId
// and platformSecret (the client of the platform's own software), pageTokenSeconds (how
// long the id tokens of pages last), and data (the folder of the signing key, which is
// kept so that tokens survive a restart).

import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Provider } from 'oidc-provider';

const config = JSON.parse(process.argv[2]);
const issuer = `http://localhost:${config.port}`;
const hour = 3600;

function secrets() {
  const path = join(config.data, 'secrets.json');
  if (!existsSync(path)) {
    const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
    const made = {
      jwks: { keys: [{ ...jwk, alg: 'RS256', use: 'sig', kid: randomBytes(8).toString('hex') }] },
      cookies: randomBytes(32).toString('hex'),
    };
    writeFileSync(`${path}.new`, JSON.stringify(made), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
  return JSON.parse(readFileSync(path, 'utf8'));
}
const { jwks, cookies } = secrets();

// The accounts that have signed in since the start, by subject. The address determines
// the subject.
const persons = new Map();
const subjectOf = (email) => `u-${createHash('sha256').update(email.normalize('NFC').toLowerCase()).digest('hex').slice(0, 20)}`;

// idTokenTime returns how long an id token lasts, in seconds. Pages ask for offline_access;
// the tokens of `make token` are for typing calls, and last an hour.
function idTokenTime(ctx) {
  const { AuthorizationCode: code, RefreshToken: refresh } = ctx.oidc.entities;
  return (refresh ?? code).scopes.has('offline_access') ? Number(config.pageTokenSeconds) : hour;
}

// logoutSource writes the page that signs out here. Its script presses its button.
function logoutSource(ctx, form) {
  ctx.body = page('Sign out', `${form}
  <h1>Sign out</h1>
  <p>You are being signed out of the identity provider on this machine.</p>
  <button form="op.logoutForm" name="logout" value="yes">Sign out</button>
  <script>document.querySelector('button').click()</script>`);
}

const provider = new Provider(issuer, {
  jwks,
  cookies: { keys: [cookies] },
  clients: [{
    client_id: config.clientId,
    application_type: 'web', // 'native' asks for sign-in again and again
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [`${config.publicUrl}/signin/callback`],
    post_logout_redirect_uris: [`${config.publicUrl}/signout`],
  }, {
    client_id: config.platformId,
    client_secret: config.platformSecret,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
  }],
  pkce: { required: () => true },
  scopes: ['openid', 'email', 'offline_access'],
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false, // puts the email into the id token
  issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
  // Each refresh token can be used once. One that comes again ends its grant.
  rotateRefreshToken: true,
  ttl: { AccessToken: hour, ClientCredentials: hour, AuthorizationCode: 60, IdToken: idTokenTime, Interaction: hour, Grant: 14 * 24 * hour, RefreshToken: 14 * 24 * hour, Session: 14 * 24 * hour },
  findAccount: (ctx, sub) => {
    const person = persons.get(sub);
    return person && { accountId: sub, claims: () => ({ sub, ...person }) };
  },
  // Grants the scopes that the client requests, without a consent page.
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope([...ctx.oidc.requestParamScopes].join(' '));
    await grant.save();
    return grant;
  },
  features: {
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true, logoutSource },
    clientCredentials: { enabled: true },
    // Makes the platform's tokens JWTs, with a scope that users can't request.
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx, client) => (client.clientId === config.platformId ? 'urn:hub' : undefined),
      getResourceServerInfo: () => ({ scope: 'hub/platform', audience: config.clientId, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } }),
    },
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
});

const escape = (s) => s.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const page = (title, content) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; margin: 12vh auto; max-width: 24rem; padding: 0 1rem; color: #1c2430; background: #f6f7f9 }
  form { background: #fff; border: 1px solid #d9dee5; border-radius: 10px; padding: 1.5rem }
  h1 { font-size: 1.3rem; margin: 0 0 .5rem }
  p { margin: 0 0 1rem; color: #526070 }
  p.problem { color: #a4262c }
  label { display: block; font-weight: 600 }
  input[type=email] { box-sizing: border-box; width: 100%; font: inherit; padding: .5rem; margin: .25rem 0 1rem; border: 1px solid #9aa5b1; border-radius: 6px }
  button { width: 100%; font: inherit; font-weight: 600; padding: .6rem; border: 0; border-radius: 6px; color: #fff; background: #1f5fbf; cursor: pointer }
  @media (prefers-color-scheme: dark) {
    body { color: #e6eaf0; background: #14181f } form { background: #1c2230; border-color: #333d4d } p { color: #a6b1c0 }
    p.problem { color: #ff9b9b } input[type=email] { color: inherit; background: #14181f }
  }
</style>
</head>
<body>
${content}
</body>
</html>
`;

const signInPage = (email, problem) => page('Sign in', `<form method="post">
  <h1>Sign in</h1>
  <p>This page stands for your identity provider on this machine. Any email address signs in, without a password.</p>
  ${problem ? `<p class="problem" role="alert">${problem}</p>` : ''}
  <label for="email">Email address</label>
  <input id="email" name="email" type="email" value="${escape(email)}" required autofocus autocomplete="username" placeholder="ann@agency.test">
  <button>Sign in</button>
</form>`);

async function form(req) {
  let body = '';
  for await (const chunk of req) {
    body += chunk;
    if (body.length > 10_000) throw new Error('the form is too large');
  }
  return new URLSearchParams(body);
}

async function interaction(req, res) {
  const { params } = await provider.interactionDetails(req, res);
  let email = params.login_hint ?? '';
  let problem = '';
  if (req.method === 'POST') {
    const fields = await form(req);
    email = (fields.get('email') ?? '').trim();
    if (/^[^@\s]+@[^@\s]+$/.test(email)) {
      const sub = fields.get('subject') || subjectOf(email);
      persons.set(sub, { email, email_verified: !fields.get('unverified') });
      return provider.interactionFinished(req, res, { login: { accountId: sub } }, { mergeWithLastSubmission: false });
    }
    problem = 'That is not an email address.';
  }
  res.writeHead(problem ? 400 : 200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  return res.end(signInPage(email, problem));
}

const handle = provider.callback();
createServer((req, res) => {
  if (req.url === '/') {
    res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
    return res.end('This is the sign-in of one machine. A token for curl: make token EMAIL=ann@agency.test\n');
  }
  if (!req.url.startsWith('/interaction/')) return handle(req, res);
  return interaction(req, res).catch((err) => {
    const gone = err.name === 'SessionNotFound';
    if (!gone) console.error(err);
    res.writeHead(gone ? 400 : 500, { 'content-type': 'text/plain; charset=utf-8' });
    res.end(gone ? 'This sign-in is over: go back and begin again.\n' : 'Sign-in failed: see the terminal.\n');
  });
}).listen(Number(config.port), '127.0.0.1');
