"use strict";

// A link from elsewhere comes without the cookie, for no other site's page may send it. This page's own request has it:
// whoever is signed in already is led on.
{
  const { next } = document.getElementById("sign-in").dataset;
  fetch("/sign-in/state").then(answer => answer.json()).then(state => {
    if (state.signed_in) location.replace(next);
  }, () => {});
}
