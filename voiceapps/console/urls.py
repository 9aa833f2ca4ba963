"""The routes of the console's own pages, before those of the theme."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from voiceapps.console import search, zones
from voiceapps.console.accounts import signing_secret_page
from voiceapps.console.pages import (
    audit,
    bench,
    call,
    call_files,
    calls,
    health,
    live,
    login,
    nodes,
    overview,
    password,
    refused,
    second_factor,
    security,
    webhooks,
)
from voiceapps.console.pages.apps import listed, orders, placed, trials, views

app_name = "console"
urlpatterns = [
    # These three take the place of the theme's own.
    path("search/", search.search, name="search"),
    path("login/", login.LoginPage.as_view(), name="login"),
    path("password_change/", admin.site.admin_view(password.PasswordPage.as_view()), name="password_change"),
    path("login/code/", login.login_code, name="login_code"),
    path("second-factor/", second_factor.second_factor, name="second_factor"),
    path("second-factor/recovery-codes/", second_factor.recovery_codes, name="recovery_codes"),
    path("second-factor/link/<str:token>/", second_factor.enrolment_link, name="enrolment_link"),
    path("second-factor/<str:verb>/", second_factor.change, name="change_second_factor"),
    path("zone/", zones.zone, name="zone"),
    path("", overview.overview, name="overview"),
    path("live/", live.live, name="live"),
    path("live/<str:call_id>/end", live.end, name="end_call"),
    path("calls/", calls.calls, name="calls"),
    path("calls/filters/", calls.save_filter, name="save_filter"),
    path("calls/filters/<int:filter_id>/remove", calls.remove_filter, name="remove_filter"),
    path("calls/export", call_files.export, name="export_calls"),
    path("calls/files/", call_files.files, name="call_files"),
    path("calls/files/<uuid:export_id>", call_files.download, name="call_file"),
    path("calls/<str:call_id>/", call.call, name="call"),
    path("calls/<str:call_id>/reveal", call.reveal, name="reveal_messages"),
    path("calls/<str:call_id>/pcap", call.capture, name="call_pcap"),
    path("calls/<str:call_id>/recordings/<str:recording_id>", call.recording, name="recording"),
    path("webhooks/", webhooks.webhooks, name="webhooks"),
    path("webhooks/replay", webhooks.replay_some, name="replay_webhooks"),
    path("webhooks/hosts/<int:host_id>/ask", webhooks.ask_host, name="ask_host"),
    path("webhooks/<uuid:delivery_id>/", webhooks.webhook, name="webhook"),
    path("webhooks/<uuid:delivery_id>/replay", webhooks.replay, name="replay_webhook"),
    path("webhooks/<uuid:delivery_id>/hurry", webhooks.hurry, name="hurry_webhook"),
    path("bench/", bench.bench, name="bench"),
    path("bench/bxml", bench.check_bxml, name="check_bxml"),
    path("bench/webhook", bench.test_webhook, name="test_webhook"),
    path("refused/", refused.refused, name="refused"),
    path("refused/allow", refused.allow, name="refused_allow"),
    path("refused/ban", refused.ban, name="refused_ban"),
    path("security/", security.security, name="security"),
    path("security/ban", security.ban, name="security_ban"),
    path("security/lift", security.lift, name="security_lift"),
    path("security/trust", security.trust, name="security_trust"),
    path("security/distrust", security.distrust, name="security_distrust"),
    path("nodes/", nodes.listed, name="nodes"),
    path("nodes/order", nodes.order, name="node_order"),
    path("audit/", audit.trail, name="audit"),
    path("audit/verify", audit.verify, name="audit_verify"),
    path("health/", health.health, name="health"),
    path("apps/", listed.listed, name="apps"),
    path("apps/new", views.new, name="app_new"),
    path("apps/ranges", views.ranges, name="app_ranges"),
    path("apps/<uuid:application_id>/", views.application, name="app"),
    path("apps/<uuid:application_id>/password", views.password, name="app_password"),
    path("apps/<uuid:application_id>/test", trials.test, name="app_test"),
    path("apps/<uuid:application_id>/place", placed.place, name="place_call"),
    path("apps/<uuid:application_id>/placed/<uuid:placed_call_id>/", placed.placed, name="placed_call"),
    path("apps/<uuid:application_id>/placed/<uuid:placed_call_id>/heard.wav", placed.heard, name="placed_call_heard"),
    path("apps/<uuid:application_id>/<str:verb>", orders.order, name="app_order"),
    path("accounts/<str:account_id>/signing-secret/", signing_secret_page, name="signing_secret"),
]
