"""Services that are broken in one way each: the docstring says how, `BROKEN` which check has to notice.

Each overrides one thing of the reference in `zoo.py`. The subtle ones are worth the most: wrong on one route only, for
one kind of field only, or a moment too late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import admission, cancels, http, streams, telling

if TYPE_CHECKING:
    from conformance.service.zoo import Service


BROKEN: dict[type[Service], str] = {
    http.ForgetsTheIdOnErrors: "S-HTTP-01",
    http.OneIdForAll: "S-HTTP-01",
    http.CutsALongId: "S-HTTP-02",
    http.PagesOfItsFramework: "S-HTTP-03",
    http.ServesReplicaSets: "S-HTTP-03",
    http.CancelsWhatItDoesNotKnow: "S-HTTP-04",
    http.WrongMediaType: "S-HTTP-05",
    http.NoAllow: "S-HTTP-06",
    http.MuteOptions: "S-HTTP-07",
    http.NoHead: "S-HTTP-08",
    http.HeadReads: "S-HTTP-09",
    http.CodeOfItsOwn: "S-ERR-01",
    http.StatusOfItsOwn: "S-ERR-02",
    http.RetriesAtOnce: "S-ERR-03",
    http.NoPolicy: "S-ERR-03",
    admission.AnotherId: "S-ADM-01",
    admission.BreaksOnDeepJson: "S-ADM-02",
    admission.SaysNotWhat: "S-ADM-03",
    admission.TakesTrueForOne: "S-ADM-03",
    admission.IgnoresUnknownSampling: "S-ADM-04",
    admission.SuggestsNothing: "S-ADM-05",
    admission.TakesBothPrompts: "S-ADM-06",
    admission.ForgetsTheBody: "S-ADM-07",
    admission.ForgetsWhatIsOver: "S-ADM-07",
    admission.ReadsItAll: "S-ADM-08",
    admission.TakesWhatDoesNotFit: "S-ADM-09",
    admission.KnowsItsOutputModes: "S-ADM-10",
    admission.PinsNothing: "S-ADM-11",
    admission.AnswersToAnything: "S-ADM-12",
    streams.MetricsBeforeStarted: "S-STR-01",
    streams.TellsTooMuch: "S-STR-02",
    streams.TwoLines: "S-STR-02",
    streams.SkipsAnId: "S-STR-03",
    streams.CountsFromOne: "S-STR-04",
    streams.EndsTwice: "S-STR-05",
    streams.EndsSilently: "S-STR-05",
    streams.StaysOpen: "S-STR-05",
    streams.MayBeCached: "S-STR-06",
    streams.FailsAtAdmission: "S-STR-07",
    streams.TellsItsReaders: "S-STR-08",
    streams.OneReaderEach: "S-STR-09",
    streams.GivesItAgain: "S-STR-10",
    streams.ForgetsWhileItRuns: "S-STR-11",
    streams.NoWindow: "S-STR-12",
    streams.TakesAnyLastEventId: "S-STR-13",
    streams.NoDeadline: "S-STR-14",
    streams.EndsAtTheDeadline: "S-STR-14",
    cancels.OneTokenMore: "S-CAN-01",
    cancels.CancelIsAnError: "S-CAN-02",
    cancels.CancelsWhatIsReadOnly: "S-CAN-03",
    cancels.WaitsForTheEngine: "S-CAN-04",
    cancels.BodyInA204: "S-CAN-05",
    cancels.SecondEnd: "S-CAN-06",
    cancels.Deletes: "S-CAN-07",
    cancels.RunsOn: "S-CAN-08",
    telling.OpenMetrics: "S-AUT-01",
    telling.BeginsRight: "S-AUT-02",
    telling.AnyScheme: "S-AUT-02",
    telling.ClosedProbes: "S-AUT-03",
    telling.NoVersion: "S-OBS-01",
    telling.VagueHealth: "S-OBS-02",
    telling.NotReady: "S-OBS-03",
    telling.MetricOfItsOwn: "S-OBS-04",
    telling.LabelTooFew: "S-OBS-04",
    telling.CountsNoTokens: "S-OBS-05",
    telling.TellsTheTask: "S-OBS-06",
    telling.QuotesTheBody: "S-RED-01",
    telling.QuotesTheToken: "S-RED-01",
    telling.QuotesTheQuery: "S-RED-01",
    telling.TellsItsToken: "S-RED-01",
    cancels.OpensLate: "S-QUE-01",
    cancels.AdmitsTheHopeless: "S-QUE-02",
}
"""Broken service -> the check that has to notice."""
