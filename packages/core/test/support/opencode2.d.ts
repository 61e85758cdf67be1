/** OpenCode 2.x for the tests; `undefined` where it cannot be installed. */
export declare const binary: string | undefined;
/** What a sandbox must show besides, for the file that this binary starts. */
export declare const readable: ReadonlyArray<string>;
/** The version of that binary, which saves asking it; `undefined` if it must be asked. */
export declare const version: string | undefined;
/** Why tests with 2.x do not run, for the name of their suite. */
export declare const why: string;
//# sourceMappingURL=opencode2.d.ts.map