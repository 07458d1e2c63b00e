/**
 * Runs a rotation: performs the effects of the state machine (src/core/rotation/machine.ts) on the secret's store and
 * its target, and feeds the results back.
 */
import { JsonDocument } from '../core/document/document.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { begin, type Effect, effectOf, type Event, isEnding, next } from '../core/rotation/machine.ts';
import { sleep } from '../core/waiting.ts';
import { ClaimedRun, isUnclear, ClaimLost, needed } from './claim.ts';
import { makeDraft } from './draft.ts';
import { encodeTime, LAST_ROTATED_LABEL, RETIRE_LABEL } from '../core/rotation/holder.ts';
import { CLAIM_KEY, credentialOf, type StoredCredential, isClaim, sameCredential } from './place.ts';
import { keysOf, obstacle, preflight } from './preflight.ts';
import { type Outcome, type RotationEvent, STEP_TEXTS } from './run.ts';
import type { Credential, Verdict } from './target.ts';
import { ValueRefused, nextStep } from './next-step.ts';

/** If this many drafts equal the old value, the policy must be wrong. */
const DRAFTS = 20;

export class Engine extends ClaimedRun {
  readonly #events: RotationEvent[] = [];
  /** What the target said since the last `apply`: asking again could use up the tries that lock an account. */
  readonly #verdicts = new Map<Credential, Verdict>();

  /** Runs to an ending. Rejects only for programming errors. */
  async run(): Promise<Outcome> {
    let state = begin(this.plan);
    this.#record({ step: 'begin', outcome: this.plan.intent });
    while (!isEnding(state)) {
      const effect = effectOf(state);
      const text = STEP_TEXTS[effect];
      if (text !== undefined) this.options.progress(text);
      this.#record({ step: effect });
      const event = await this.#carryOut(effect);
      this.#record({
        step: effect,
        outcome: event,
        ...(this.pending !== undefined && { version: this.pending.id }),
        ...(['failed', 'unclear', 'held', 'lost'].includes(event) &&
          this.error !== undefined && { reason: this.error.message }),
      });
      if (effect === 'finish' && event === 'failed')
        this.options.warn(`rotated, but this could not be recorded: ${this.error?.message ?? ''}`);
      state = next(this.plan, state, event);
    }
    if (state === 'done') this.options.watch.forget(this.options.reference);
    if (state === 'stuck') await this.releaseLease();
    this.#record({
      step: 'end',
      outcome: state,
      ...(this.currentVersion !== undefined && { version: this.currentVersion }),
    });
    const { reference, toPrevious } = this.options;
    const stopped = { ...this.plan, reference, toPrevious, ending: state, refused: this.refused };
    const todo = await nextStep(stopped, (value) => this.#ask(value === 'old' ? this.old : this.pending));
    // After the ending: asking the target may take long, or be interrupted.
    if (todo !== undefined)
      this.options.record({ at: this.options.now().toISOString(), step: 'advise', todo }, this.id);
    return {
      ending: state,
      rotation: this.id,
      holder: this.holder,
      error: this.error,
      todo,
      currentVersion: this.currentVersion,
      before: this.before,
      events: this.#events,
    };
  }

  #record(event: Omit<RotationEvent, 'at'>): void {
    const full = { at: this.options.now().toISOString(), ...event };
    if (event.outcome !== undefined) this.#events.push(full);
    this.options.record(full, this.id);
  }

  /** Only used for advice, so an error here doesn't fail the rotation. */
  async #ask(credential: StoredCredential | undefined): Promise<Verdict | undefined> {
    if (credential === undefined || isClaim(credential) || this.options.interrupt.aborted) return undefined;
    const known = this.#verdicts.get(credential);
    if (known !== undefined) return known;
    return this.options.target.verify(credential, this.options.signal()).catch(() => undefined);
  }

  async #carryOut(effect: Effect): Promise<Event> {
    try {
      switch (effect) {
        case 'look':
          return await this.look();
        case 'prepare':
          return await this.#prepare();
        case 'claim':
          return await this.claim();
        case 'confirm-claim':
          return await this.confirmClaim();
        case 'take-over':
          return await this.takeOver();
        case 'issue':
          return await this.#issue();
        case 'store-issued':
          return await this.#storeIssued();
        case 'read-back':
          return await this.#readBack();
        case 'apply-new':
          return await this.#apply(this.pending);
        case 'apply-old': {
          // A secret without a previous value has nothing to set back.
          if (this.old === undefined) return 'ok';
          const event = await this.#apply(this.old);
          return event === 'unclear' ? 'failed' : event;
        }
        case 'verify-new':
          return await this.#verify(this.pending);
        case 'verify-old':
          // A secret without a previous value has nothing to go back to.
          return this.old === undefined ? 'accepted' : await this.#verify(this.old);
        case 'promote':
          return await this.#promote();
        case 'confirm-promotion':
          return await this.#confirmPromotion();
        case 'finish':
          return await this.#finish();
        case 'retire-new':
          return await this.#retireNew();
        case 'discard':
          return await this.#discard();
      }
    } catch (thrown) {
      if (thrown instanceof ClaimLost) return 'lost';
      this.error = toSecretsError(thrown);
      return 'failed';
    }
  }

  async #prepare(): Promise<Event> {
    const { target, toPrevious } = this.options;
    if (toPrevious) {
      if (this.previous === undefined)
        throw new SecretsError('NotFound', 'has no previous version to go back to');
      this.draft = credentialOf(this.previous.value);
      await target.prove?.(this.draft, this.known, this.options.signal());
      return 'ok';
    }
    await this.#preflight();
    this.draft = this.plan.issues ? this.#claimValue() : await this.#propose();
    await this.options.makeWay?.();
    return 'ok';
  }

  /** Drafts a value, and makes sure that the target's `verify` will prove something about it. */
  async #propose(): Promise<Credential> {
    const { target } = this.options;
    for (let tries = 1; ; tries += 1) {
      const draft = await makeDraft(this.old, keysOf(this.options, this.old), this.options.generator);
      const proposed =
        (await target.propose?.(draft, this.known, this.rotation, this.options.signal())) ?? draft;
      if (!sameCredential(proposed, this.old)) {
        await target.prove?.(proposed, this.known, this.options.signal());
        return proposed;
      }
      if (tries === DRAFTS)
        throw new SecretsError('Usage', 'the generator always produces the same value', {
          hint: 'use a generator with longer values in the policy',
        });
    }
  }

  /** @throws SecretsError for anything that prevents this rotation, before it has changed anything */
  async #preflight(): Promise<void> {
    const findings = await preflight(this.options, this.known, () => ({ signal: this.options.signal() }));
    for (const { status, kind, check, detail } of findings)
      if (status === 'warn' && kind !== undefined) this.options.warn(`${check}: ${detail}`);
    const error = obstacle(findings);
    if (error !== undefined) throw error;
  }

  /**
   * A placeholder for a credential that the target has yet to issue: the old one, so that it would work if something
   * read it.
   */
  #claimValue(): Credential {
    if (this.old !== undefined && this.old.fields === undefined)
      throw new SecretsError(
        'Invalid',
        'its value is not a JSON object, which this target’s credentials are',
      );
    const document = this.old === undefined ? JsonDocument.of([]) : JsonDocument.parse(this.old.value);
    return credentialOf(document.edit(new Map([[CLAIM_KEY, this.id]])).bytes);
  }

  async #issue(): Promise<Event> {
    const { issue } = this.options.target;
    if (issue === undefined)
      throw new SecretsError('Usage', 'the current rotation is for a target that creates credentials', {
        hint: 'resume it with the policy it was started with',
      });
    await this.keep();
    try {
      this.draft = await issue.call(this.options.target, this.known, this.rotation, this.options.signal());
      return 'ok';
    } catch (thrown) {
      const error = (this.error = toSecretsError(thrown));
      if (!isUnclear(error)) return 'failed';
      this.inDoubt = true;
      return 'unclear';
    }
  }

  async #storeIssued(): Promise<Event> {
    const draft = needed(this.draft);
    const claim = needed(this.pending);
    for (let tries = 1; ; tries += 1) {
      try {
        const { id, createdAt } = await this.options.place.replace(claim.id, draft.value, this.record());
        this.pending = { id, createdAt, ...draft };
        return 'ok';
      } catch (thrown) {
        const error = (this.error = toSecretsError(thrown));
        if (error.kind === 'Conflict') return tries === 1 ? 'lost' : 'unclear';
        if (isUnclear(error)) return 'unclear';
        // Only this process knows the credential, so a short outage of the store must not lose it.
        if (tries === 5) return 'failed';
        await sleep(tries * 1000, this.options.interrupt, true);
      }
    }
  }

  async #readBack(): Promise<Event> {
    const mine = needed(this.pending);
    const { pending } = await this.load();
    if (pending === undefined) return 'lost';
    if (pending.id !== mine.id && !sameCredential(pending, this.draft ?? mine)) {
      await this.noteHolder(pending);
      return 'lost';
    }
    if (isClaim(pending))
      throw new SecretsError('Unavailable', 'the credential created by the target is not stored');
    this.pending = pending;
    return 'ok';
  }

  async #apply(credential: StoredCredential | undefined): Promise<Event> {
    const { target, signal } = this.options;
    await this.keep();
    this.refused = undefined;
    this.#verdicts.clear();
    // The claim may have a new id by now; the credential is the one that was read back.
    try {
      await target.apply(needed(credential), this.known, this.rotation, signal());
      this.sent = true;
      return 'ok';
    } catch (thrown) {
      if (thrown instanceof ClaimLost) throw thrown;
      const error = (this.error = toSecretsError(thrown));
      if (error instanceof ValueRefused)
        this.refused = { value: credential === this.old ? 'old' : 'new', error };
      if (!isUnclear(error)) return 'failed';
      this.sent = true;
      this.inDoubt = true;
      return 'unclear';
    }
  }

  async #verify(credential: Credential | undefined): Promise<Event> {
    const asked = needed(credential);
    const verdict = await this.options.target.verify(asked, this.options.signal());
    this.#verdicts.set(asked, verdict);
    if (verdict === 'refused' && this.error === undefined) {
      const error = new ValueRefused('Failed', 'the target refuses the credential that it was given', {});
      this.error = error;
      this.refused = { value: credential === this.old ? 'old' : 'new', error };
    }
    return verdict;
  }

  async #promote(): Promise<Event> {
    const { place } = this.options;
    await this.keep();
    const pending = needed(this.pending);
    // A version that another run has replaced or discarded must not come back.
    if ((await place.pendingId()) !== pending.id) {
      this.error = new SecretsError('Conflict', 'somebody else has taken over this rotation');
      return 'lost';
    }
    await this.#noteReplaced();
    try {
      this.currentVersion = (await place.promote(pending.id)).id;
      return 'ok';
    } catch (thrown) {
      const error = (this.error = toSecretsError(thrown));
      return error.kind === 'Denied' || error.kind === 'Unauthenticated' ? 'failed' : 'unclear';
    }
  }

  /**
   * Records when the old credential expires, before it is replaced: a run that dies right after the promotion leaves no
   * pending version, and without this label the old credential would never be retired. An unnecessary label is
   * harmless.
   */
  async #noteReplaced(): Promise<void> {
    const { target, place, graceMs, now, warn } = this.options;
    if (target.retire === undefined || this.old === undefined) return;
    try {
      await place.setLabels({ [RETIRE_LABEL]: encodeTime(new Date(now().getTime() + graceMs)) });
    } catch (thrown) {
      warn(`when the replaced credential ends could not be noted: ${toSecretsError(thrown).message}`);
    }
  }

  async #confirmPromotion(): Promise<Event> {
    const mine = needed(this.pending);
    const { current, pending } = await this.options.place.read();
    if (pending?.id === mine.id) return 'mine';
    if (!sameCredential(current, mine)) return 'lost';
    this.currentVersion = current?.id;
    return 'promoted';
  }

  async #finish(): Promise<Event> {
    const { target, place, graceMs, now, signal, warn } = this.options;
    this.error = undefined;
    const { current, previous } = await place.read();
    this.currentVersion = current?.id ?? this.currentVersion;
    let retireAt: Date | undefined;
    try {
      if (target.retire !== undefined && current !== undefined && previous !== undefined) {
        retireAt = new Date(now().getTime() + graceMs);
        await target.retire(previous, current, 'superseded', signal());
        if (graceMs === 0) {
          await target.retire(previous, current, 'expired', signal());
          retireAt = undefined;
        }
      }
    } catch (thrown) {
      warn(`the replaced credential could not be retired yet: ${toSecretsError(thrown).message}`);
    }
    const labels = {
      [LAST_ROTATED_LABEL]: encodeTime(now()),
      [RETIRE_LABEL]: retireAt === undefined ? null : encodeTime(retireAt),
    };
    await place.unsign(labels, this.pending?.id);
    return 'ok';
  }

  async #retireNew(): Promise<Event> {
    const { target, signal } = this.options;
    await this.keep();
    const pending = needed(this.pending);
    if (this.old !== undefined && !isClaim(pending) && !this.options.toPrevious)
      await target.retire?.(pending, this.old, 'expired', signal(), this.rotation);
    await target.abandon?.(this.known, this.rotation, signal());
    return 'ok';
  }

  async #discard(): Promise<Event> {
    const { place } = this.options;
    const pending = needed(this.pending);
    if (this.#mayBecomeAccepted(pending)) await this.#keepAbandonedValue(pending);
    try {
      await place.discard(pending.id);
    } catch (thrown) {
      const error = toSecretsError(thrown);
      if (error.kind !== 'NotFound') {
        this.error = error;
        if ((await place.pendingId()) !== undefined) return error.kind === 'Conflict' ? 'lost' : 'failed';
      } else if ((await place.pendingId()) !== undefined) {
        return 'lost';
      }
    }
    try {
      await place.unsign({}, pending.id);
    } catch (thrown) {
      const { kind, message } = toSecretsError(thrown);
      // A discarded first value leaves no secret that could have labels.
      if (kind !== 'NotFound' || this.old !== undefined)
        this.options.warn(`a label could not be removed: ${message}`);
    }
    return 'ok';
  }

  /** A late change could still make the target accept this value, and nothing else in the store contains it. */
  #mayBecomeAccepted(pending: StoredCredential): boolean {
    // Without an older value nothing was set afterwards, so the target may just as well have this one already.
    const late = this.options.target.late ?? this.old === undefined;
    if (!late || !this.sent || isClaim(pending)) return false;
    return !sameCredential(pending, this.old) && !sameCredential(pending, this.previous);
  }

  async #keepAbandonedValue({ value }: StoredCredential): Promise<void> {
    const { place, warn } = this.options;
    const name = await place.keepAbandonedValue(value);
    const [why, until] =
      this.old === undefined
        ? ['the target may have taken the first value', 'nothing uses it']
        : ['the change may still arrive at the target', 'the old one has proven to stay'];
    warn(`${why}, so the value that was issued is kept as ${name}; purge it when ${until}`);
  }
}
